import io

from rich.console import Console

from serving.cli import terminal
from serving.stack.report import Kind


def test_without_a_terminal_every_step_is_a_plain_line(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(terminal, "output", Console(file=text, highlight=False))
    with terminal.progress() as report:
        report(Kind.STEP, "starting triton")
        report(Kind.STEP, "loading [demo]")
        report(Kind.READY, "http://127.0.0.1")
        report(Kind.STEP, "loading demo")
        report(Kind.NOTE, "triton is back")
    first, second, third = text.getvalue().splitlines()
    assert first.startswith("✓ starting triton 0.0 s")
    assert second.startswith("✓ loading [demo] 0.0 s")
    assert third == "triton is back"
    assert "\x1b" not in text.getvalue()


def test_step_that_failed_is_not_shown_as_done(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(terminal, "output", Console(file=text))
    with terminal.progress() as report:
        report(Kind.STEP, "loading demo")
    assert text.getvalue().strip() == ""
