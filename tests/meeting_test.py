from concurrent import futures
import socket

import pytest

from splitjax import meeting
from splitjax.errors import ConfigError


def _free_address():
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    return f'127.0.0.1:{free.getsockname()[1]}'


def _meet(address, num, ids, seconds=20.0):
  """Returns the errors, or None, of processes that meet; here, of threads."""
  with futures.ThreadPoolExecutor(len(ids)) as pool:
    found = [
      pool.submit(
        meeting.meet,
        address,
        num_processes=num,
        process_id=index,
        seconds=seconds,
      )
      for index in ids
    ]
    return [x.exception() for x in found]


@pytest.mark.parametrize('ids', [[0], [0, 1], [2, 0, 1]])
def test_processes_meet_in_any_order(ids):
  assert _meet(_free_address(), len(ids), ids) == [None] * len(ids)


def test_strangers_at_the_port_are_passed_over():
  address = _free_address()
  host, port = address.split(':')
  with futures.ThreadPoolExecutor(1) as pool:
    first = pool.submit(
      meeting.meet, address, num_processes=2, process_id=0, seconds=20.0
    )
    while True:
      try:
        with socket.create_connection((host, int(port))) as stranger:
          stranger.sendall(b'GET / HTTP/1.1')
        break
      except ConnectionRefusedError:
        assert not first.done()
    meeting.meet(address, num_processes=2, process_id=1, seconds=20.0)
    assert first.exception() is None


def test_who_stays_away_is_named_to_all_others():
  errors = _meet(_free_address(), 4, [0, 2], seconds=0.5)
  assert all(isinstance(x, ConfigError) for x in errors)
  assert errors[0].field == 'coordinator_address'
  assert '2 of 4 stayed away, with process_id 1, 3' in str(errors[0])
  assert 'process' in str(errors[1])


@pytest.mark.parametrize(
  ('address', 'message'),
  [
    ('a', 'a: expected HOST:PORT at which all processes can reach process 0'),
    ('a:b', 'no port from 1 to 65535'),
    (':12', 'no port from 1 to 65535'),
    ('127.0.0.1:65536', 'no port from 1 to 65535'),
    ('127.0.0.1:', 'no port from 1 to 65535'),
  ],
)
def test_address_that_is_none_is_named(address, message):
  with pytest.raises(ConfigError, match=message) as caught:
    meeting.meet(address, num_processes=2, process_id=0, seconds=1.0)
  assert caught.value.field == 'coordinator_address'


def test_port_that_is_taken_and_nobody_there_are_told():
  with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    address = f'127.0.0.1:{taken.getsockname()[1]}'
    [error] = _meet(address, 2, [1], seconds=0.0)
    assert 'refused' in str(error)
    taken.listen()
    [error] = _meet(address, 2, [0], seconds=0.0)
    assert 'in use' in str(error)
