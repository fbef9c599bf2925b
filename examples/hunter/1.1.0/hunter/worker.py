"""Takes queued scan jobs and writes what it finds: the second writer. Run it with `python -m hunter.worker`."""

from __future__ import annotations

import hashlib
import logging
import signal
from datetime import UTC, datetime
from threading import Event

from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hunter import __version__, config
from hunter.db import engine
from hunter.models import Company, DomainSignal, JobState, ScanJob, SignalKind, audit_log

log = logging.getLogger("hunter.worker")


def look_up(domain: str) -> dict[SignalKind, str]:
    """Stands for the DNS queries of the real thing: the same domain always gives the same answer, without a network."""
    digest = hashlib.sha256(domain.encode()).hexdigest()
    return {
        SignalKind.mx: f"10 mx-{digest[:6]}.mail.{domain}",
        SignalKind.spf: "v=spf1 include:spf.protection.outlook.com -all",
        SignalKind.dmarc: f"v=DMARC1; p={'reject' if int(digest[0], 16) % 2 else 'none'}",
    }


def run_one(database: Session) -> bool:
    """Do the oldest queued job, if there is one; nothing is written otherwise."""
    job = database.scalar(
        select(ScanJob)
        .where(ScanJob.state == JobState.queued)
        .order_by(ScanJob.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if job is None:
        return False
    company = database.scalar(select(Company).where(Company.domain == job.domain))
    if company is None:
        company = Company(domain=job.domain, name=job.domain)
        database.add(company)
        database.flush()
    for kind, value in look_up(job.domain).items():
        database.add(DomainSignal(company_id=company.id, kind=kind, details={"value": value.lower()[:40]}))
    job.state, job.finished_at = JobState.done, datetime.now(UTC)
    database.execute(insert(audit_log).values(actor="worker", action="scan.done", payload={"job": job.id}))
    database.commit()
    log.info("scanned %s", job.domain)
    return True


def main() -> None:
    config.configure_logging()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    pause = config.load().poll_seconds
    log.info("worker %s started", __version__)
    while not stop.is_set():
        try:
            with Session(engine()) as database:
                busy = run_one(database)
        except SQLAlchemyError as error:
            # The database may be away for a while (restart, swap): say so and come back.
            log.error("job failed, trying again: %s", type(error).__name__)
            busy = False
        if not busy:
            stop.wait(pause)
    log.info("worker stopped")


if __name__ == "__main__":
    main()
