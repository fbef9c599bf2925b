"""What the terminal shows: stages, steps and sentences, and no bookkeeping."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PLAYBOOK = """
- name: A stage with a step
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Do something
      ansible.builtin.ping:
    - name: Keep something
      ansible.builtin.set_fact: {kept: true}
    - name: Say something
      ansible.builtin.debug: {msg: "first line\\nsecond line"}

- name: A stage without one
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Not done
      ansible.builtin.ping:
      when: false
    - name: Checked
      ansible.builtin.assert: {that: kept, quiet: true}

- name: A stage that fails
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Refuse
      ansible.builtin.assert: {that: not kept, fail_msg: It was kept. Let it go., quiet: true}
"""


def test_stages_steps_and_sentences(tmp_path):
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(PLAYBOOK)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local", str(playbook)],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_PYTHON_INTERPRETER": sys.executable, "NO_COLOR": "1", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    assert lines[:2] == ["A stage with a step", "  Do something"]
    assert lines[2].startswith("    ok on localhost (")
    assert lines[3:5] == ["  first line", "  second line"]
    assert lines[-2:] == ["A stage that fails", "  It was kept. Let it go."]
    for hidden in ("Keep something", "Checked", "PLAY RECAP", "Origin"):
        assert hidden not in done.stdout
