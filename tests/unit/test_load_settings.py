import pytest

from ansible.module_utils.rollback.postgres.load_settings import as_options, load_settings, memory_of_sort


@pytest.mark.parametrize(("jobs", "memory"), [(0, "512MB"), (1, "512MB"), (2, "256MB"), (8, "64MB"), (64, "64MB")])
def test_memory_is_shared_by_the_jobs_and_never_less_than_postgresql_takes_by_itself(jobs, memory):
    assert dict(load_settings(jobs))["maintenance_work_mem"] == memory


@pytest.mark.parametrize(("jobs", "cores", "workers"), [(2, 2, "0"), (4, 2, "0"), (2, 8, None), (1, 1, None)])
def test_an_index_has_no_workers_of_its_own_where_the_jobs_take_every_processor(jobs, cores, workers, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert dict(load_settings(jobs)).get("max_parallel_maintenance_workers") == workers


@pytest.mark.parametrize(
    ("size", "jobs", "memory"),
    [
        (0, 2, "32MB"),
        (600 << 20, 2, "32MB"),
        (10 << 30, 2, "102MB"),
        (1 << 40, 2, "256MB"),
        (1 << 40, 1, "512MB"),
        (1 << 40, 8, "64MB"),
    ],
)
def test_a_sort_has_what_merging_its_runs_at_once_needs_and_no_more_than_a_session_has(size, jobs, memory):
    assert memory_of_sort(size, jobs) == memory


def test_client_programs_are_told_in_one_line():
    assert as_options([("a", "1"), ("b", "off")]) == "-c a=1 -c b=off"
