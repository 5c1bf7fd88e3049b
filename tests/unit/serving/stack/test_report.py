import os

import orjson

from serving.stack.journal import logged
from serving.stack.report import Kind, from_pipe, to_pipe


def test_reports_travel_through_a_pipe_until_ready():
    read, write = os.pipe()
    report = to_pipe(write)
    for kind in (Kind.STEP, Kind.NOTE, Kind.READY, Kind.NOTE):
        report(kind, "zwölf\nlines")
    with os.fdopen(read) as lines:
        assert list(from_pipe(lines)) == [
            (Kind.STEP, "zwölf\nlines"),
            (Kind.NOTE, "zwölf\nlines"),
            (Kind.READY, "zwölf\nlines"),
        ]


def test_reader_that_has_gone_is_no_matter():
    read, write = os.pipe()
    os.close(read)
    report = to_pipe(write)
    report(Kind.STEP, "a")
    report(Kind.READY, "b")


def test_log_has_a_line_a_report(tmp_path):
    told = []
    with logged(lambda *report: told.append(report), tmp_path / "log") as report:
        report(Kind.NOTE, "triton is back")
    line = orjson.loads((tmp_path / "log").read_text())
    assert (line["event"], line["text"]) == ("note", "triton is back")
    assert told == [(Kind.NOTE, "triton is back")]
