"""Run every method of the hook with every fault; ``matrix.py`` lists the expected outcomes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.matrix import FAULTS
from tests.faults.methods import METHODS
from tests.faults.run import Cell, Outcome
from tests.support.listener import Listener

CELLS = [Cell(method=method, fault=fault) for fault in FAULTS for method in METHODS]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_cell(cell: Cell, outcome_of: Callable[[Cell], Outcome], foreign: Listener) -> None:
    outcome, expected = outcome_of(cell), cell.expected
    if cell.method.name == "test_connection" and expected.error is not None:
        # This method returns its error instead of raising it.
        assert outcome.error is None
        assert outcome.result[0] is False
        said = outcome.result[1]
    else:
        assert type(outcome.error) is (expected.error or type(None)), outcome
        said = str(outcome.error or "")
    assert outcome.did == (expected.error is None), outcome
    if expected.error is not None:
        assert [words for words in cell.fault.says if words not in said] == [], said

    seen = outcome.calls.get(cell.method.operation, 0)
    assert seen >= expected.calls if expected.or_more else seen == expected.calls, outcome

    there = {"repeatable": 0, "look-up": 1}.get(cell.method.kind, expected.made)
    assert len(outcome.there) == there, outcome
    assert outcome.leaks == []
    assert foreign.heard == []
