import pytest

from ansible.module_utils.rollback import inputs

KNOWN = {"method": "How", "release": "Where", "reason": "Why", "rollback_protected": "Whether"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["method", "rollback_protected"], []),
        (["awx_user_name", "tower_job_id", "ansible_user", "_raw_params"], []),
        (["relaese"], ["Nothing reads the variable relaese. Did you mean release?"]),
        (["rollback_protect"], ["Nothing reads the variable rollback_protect. Did you mean rollback_protected?"]),
        (["xyzzy"], ["Nothing reads the variable xyzzy. Short ones are: method, reason, release."]),
    ],
)
def test_what_nobody_reads_is_told_with_what_is_near(given, said):
    assert inputs.unknown(given, KNOWN) == said


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["reason=the API is down"], "the API is down"),
        (["method=restore", "reason=leads\nare gone"], "leads\nare gone"),
        (["reason=down"], "down"),
        (["reason='quoted already'"], None),
        (["reason=down method=restore"], None),
        (["unreason=the API is down", "@reason=file"], None),
        (["reason="], None),
    ],
)
def test_a_sentence_is_taken_whole_where_it_is_one(arguments, text):
    assert inputs.free_text("reason", arguments) == text


@pytest.mark.parametrize(
    ("arguments", "given", "lost"),
    [
        (["method=restore"], {"method": "restore"}, ""),
        (["reason=the API is down"], {"reason": "the", "_raw_params": "API is down"}, ""),
        (["label=my label"], {"label": "my", "_raw_params": "label"}, "label"),
        (["method=restore oops"], {"method": "restore", "_raw_params": "oops"}, "oops"),
        # A sentence beside it must not swallow them.
        (
            ["reason=the API is down", "label=my label"],
            {"reason": "the", "label": "my", "_raw_params": "label"},
            "label",
        ),
        (["label=my label", "reason=down"], {"label": "my", "reason": "down", "_raw_params": "label"}, "label"),
        (['label="my label" rest', '{"a": "b c"}', "@file name"], {"label": "my label", "_raw_params": "rest"}, "rest"),
    ],
)
def test_words_that_belong_to_no_variable_are_told(arguments, given, lost):
    found = inputs.lost_words(arguments, given)
    assert [sentence.split("'")[1] for sentence in found] == ([lost] if lost else [])
    assert all("Quote a value with blanks twice" in sentence for sentence in found)
