import sys
from pathlib import Path

# Builders that the tests beside this file share, imported by their plain name.
sys.path.insert(0, str(Path(__file__).parent))
