"""Audits: a verdict on what crossed the cut of anyone's split system."""

from splitjax.auditing.auditing import audit as audit
from splitjax.auditing.options import Options as Options
from splitjax.auditing.result import AuditResult as AuditResult

__all__ = ['AuditResult', 'Options', 'audit']
