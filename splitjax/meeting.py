"""Processes meet before JAX joins them.

Where one stays away JAX ends the others with a stack trace of its own, after a
wait. Here they learn of it as an error that names who is missing.
"""

import socket
import time

from splitjax.errors import ConfigError

_PAUSE_SECONDS = 0.5
_ANSWER_SECONDS = 5.0  # For a process that is there to say which it is.
_ALL_THERE = b'all\n'


def meet(
  address: str, *, num_processes: int, process_id: int, seconds: float
) -> None:
  """Wait until all processes are there.

  Args:
    address: HOST:PORT at which process 0 listens.
    num_processes: number of processes.
    process_id: index of this process, from 0.
    seconds: how long to wait for the others.

  Raises:
    ConfigError: if process 0 cannot listen or cannot be reached there, or not
      all come in time.
  """
  host, _, port = address.rpartition(':')
  if not (host and port.isdecimal() and 0 < int(port) < 2**16):
    raise _error(address, 'no port from 1 to 65535 after a colon')
  end = time.monotonic() + seconds
  try:
    socket.getaddrinfo(host.strip('[]'), int(port))
    if process_id == 0:
      _await_others(address, int(port), num_processes, end)
    else:
      _join(address, (host.strip('[]'), int(port)), process_id, end)
  except OSError as error:
    raise _error(address, str(error)) from error


def _await_others(address: str, port: int, num: int, end: float) -> None:
  """Listen until all have come, and tell them."""
  come: dict[int, socket.socket] = {}
  both = socket.has_dualstack_ipv6()
  family = socket.AF_INET6 if both else socket.AF_INET
  with socket.create_server(
    ('', port), family=family, dualstack_ipv6=both
  ) as listener:
    try:
      while missing := {*range(1, num)} - {*come}:
        listener.settimeout(_left(end))
        try:
          connection, _ = listener.accept()
        except TimeoutError:
          names = ', '.join(map(str, sorted(missing)[:5]))
          reason = (
            f'{len(missing)} of {num} stayed away, with process_id {names}'
          )
          raise _error(address, reason) from None
        other = _read_id(connection)
        if other in missing:
          come[other] = connection
        else:  # Another program, or one that tries again.
          connection.close()
      for connection in come.values():
        connection.sendall(_ALL_THERE)
    finally:
      for connection in come.values():
        connection.close()


def _read_id(connection: socket.socket) -> int:
  """Return what process it is, or -1 if it does not say."""
  connection.settimeout(_ANSWER_SECONDS)
  try:
    text = connection.recv(16).strip()
  except OSError:
    return -1
  return int(text) if text.isdigit() else -1


def _join(
  address: str, place: tuple[str, int], process_id: int, end: float
) -> None:
  """Reach process 0, and wait until it says that all are there."""
  while True:
    try:
      with socket.create_connection(place, _ANSWER_SECONDS) as connection:
        connection.sendall(b'%d\n' % process_id)
        connection.settimeout(_left(end))
        if connection.recv(len(_ALL_THERE)) == _ALL_THERE:
          return
      raise _error(address, 'process 0 did not find all processes')
    except TimeoutError as error:
      raise _error(address, 'not all processes came in time') from error
    except OSError:
      if time.monotonic() > end:
        raise
    time.sleep(_PAUSE_SECONDS)


def _left(end: float) -> float:
  """Return the seconds until a time of `time.monotonic`, at least some."""
  return max(end - time.monotonic(), 0.1)


def _error(address: str, reason: str) -> ConfigError:
  """Return the error of an address at which processes do not meet."""
  expected = f'HOST:PORT at which all processes can reach process 0: {reason}'
  return ConfigError('coordinator_address', address, expected)
