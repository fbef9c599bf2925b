"""The HTTP interface. Run it with `python -m hunter.api`."""

from __future__ import annotations

from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel, Field
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from hunter import __version__, config, health
from hunter.db import session
from hunter.models import Company, DomainSignal, Lead, ScanJob, audit_log

app = FastAPI(title="Hunter", version=__version__)
app.include_router(health.router)

Database = Annotated[Session, Depends(session)]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", max_length=253)]


class NewLead(BaseModel):
    domain: Domain
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]
    full_name: str | None = None
    note: str | None = None


class NewScan(BaseModel):
    domain: Domain


@app.get("/api/v1/leads")
def list_leads(database: Database, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> dict[str, Any]:
    newest = select(Lead).options(joinedload(Lead.company)).order_by(Lead.id.desc()).limit(limit)
    leads = [
        {
            "id": lead.id,
            "domain": lead.company.domain,
            "email": lead.email,
            "full_name": lead.full_name,
            "city": lead.company.city.title(),
            "status": lead.status,
            "score": float(lead.score),
            "created_at": lead.created_at,
        }
        for lead in database.scalars(newest)
    ]
    return {"count": len(leads), "leads": leads}


@app.post("/api/v1/leads", status_code=201)
def add_lead(new: NewLead, database: Database) -> dict[str, Any]:
    company = database.scalar(select(Company).where(Company.domain == new.domain))
    if company is None:
        company = Company(domain=new.domain, name=new.domain)
    lead = Lead(company=company, email=new.email, full_name=new.full_name, note=new.note)
    database.add(lead)
    try:
        database.flush()
    except IntegrityError:
        raise HTTPException(409, f"{new.domain} already has a lead with this e-mail address") from None
    database.execute(insert(audit_log).values(actor="api", action="lead.added", payload={"lead": lead.id}))
    database.commit()
    return {"id": lead.id, "domain": new.domain, "status": lead.status}


@app.get("/api/v1/scan")
def show_scan(database: Database, domain: str) -> dict[str, Any]:
    company = database.scalar(select(Company).where(Company.domain == domain))
    if company is None:
        raise HTTPException(404, f"{domain} has not been scanned")
    newest = (
        select(DomainSignal)
        .where(DomainSignal.company_id == company.id)
        .order_by(DomainSignal.observed_at.desc(), DomainSignal.id.desc())
        .limit(50)
    )
    return {
        "domain": company.domain,
        "company": company.name,
        "signals": [
            {"kind": signal.kind, "value": signal.value, "observed_at": signal.observed_at}
            for signal in database.scalars(newest)
        ],
    }


@app.post("/api/v1/scan", status_code=202)
def request_scan(new: NewScan, database: Database) -> dict[str, Any]:
    job = ScanJob(domain=new.domain)
    database.add(job)
    database.commit()
    return {"job": job.id, "domain": job.domain, "state": job.state}


def main() -> None:
    config.configure_logging()
    settings = config.load()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        # Set by the server, so that even an unhandled error says which version it comes from.
        headers=[("X-App-Version", __version__)],
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
