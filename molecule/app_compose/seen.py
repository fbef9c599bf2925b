"""Which containers run, asked of Docker without any code of the tool that is tested.

As a program (converge.yml): notes them in seen.json, one entry each time. As a module (the tests): asks again.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "hunter"))

from containers import Containers  # noqa: E402

PLACE = Containers(os.environ["HUNTER_HOME"])
SEEN = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "seen.json"


def noted() -> list[dict[str, str]]:
    return json.loads(SEEN.read_text()) if SEEN.exists() else []


if __name__ == "__main__":
    SEEN.write_text(json.dumps([*noted(), PLACE.containers()]))
