"""What carbon commands say where the usual words would mislead."""

from dln.cli.carbon.audit import emitted


def test_an_unknown_source_is_said_before_its_region(dln):
    found = dln("carbon", "report", "run.json", "--source", "foo.csv")
    assert found.code == 2
    assert "no source 'foo.csv'" in found.err
    assert "--source csv:foo.csv" in found.err


def test_a_missing_report_is_missing(dln):
    found = dln("carbon", "report", "--verify", "none.json")
    assert found.code == 2
    assert "There is no file none.json" in found.err
    assert "dln wrote" not in found.err


def test_a_source_that_gave_out_is_not_asked_for():
    from datetime import UTC, datetime

    from dln.core.carbon.meter.emissions import Emissions, Interval

    start = datetime(2024, 6, 1, tzinfo=UTC)
    run = Emissions("a", start, (Interval(start, 60, 1.0),))
    assert emitted(run, "the file ends before") == [("emissions", "not known")]
    assert "--region" in str(emitted(run, None))
