"""What docs/in-place.md says of each fault is what its test proves."""

import importlib.util
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def faults():
    spec = importlib.util.spec_from_file_location(
        "in_place_faults", ROOT / "tests" / "integration" / "in_place_faults.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(spec.name, module)  # dataclasses looks it up there
    spec.loader.exec_module(module)
    return module.FAULTS


def test_the_page_has_a_row_for_each_fault_with_the_state_that_is_tested():
    page = (ROOT / "docs" / "in-place.md").read_text()
    rows = re.findall(r"^\| (?!fault \|)([^|-][^|]*) \| ([^|]*) \|", page, re.MULTILINE)
    assert rows == [(fault.name, fault.state) for fault in faults()]
