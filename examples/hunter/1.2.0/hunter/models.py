"""The tables of Hunter."""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Enum,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


class SignalKind(enum.StrEnum):
    mx = "mx"
    spf = "spf"
    dkim = "dkim"
    dmarc = "dmarc"
    tenant = "tenant"


class LeadStatus(enum.StrEnum):
    new = "new"
    qualified = "qualified"
    contacted = "contacted"
    won = "won"
    lost = "lost"


class CallResult(enum.StrEnum):
    reached = "reached"
    busy = "busy"
    wrong_number = "wrong_number"


class JobState(enum.StrEnum):
    queued = "queued"
    done = "done"
    failed = "failed"


class Company(Base):
    __tablename__ = "companies"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    domain: Mapped[str] = mapped_column(String(253), unique=True)
    name: Mapped[str] = mapped_column(Text)
    country: Mapped[str] = mapped_column(CHAR(2), server_default="TR")
    city: Mapped[str | None] = mapped_column(Text)
    annual_revenue: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    profile: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    note: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    signals: Mapped[list[DomainSignal]] = relationship(back_populates="company", order_by="DomainSignal.id")


class DomainSignal(Base):
    __tablename__ = "domain_signals"
    __table_args__ = (Index("ix_domain_signals_company_id_observed_at", "company_id", "observed_at"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    kind: Mapped[SignalKind] = mapped_column(Enum(SignalKind, name="signal_kind"))
    value: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    observed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    company: Mapped[Company] = relationship(back_populates="signals")


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)


class Lead(Base):
    __tablename__ = "leads"
    __table_args__ = (
        UniqueConstraint("company_id", "email"),
        CheckConstraint("score >= 0 AND score <= 100", name="score_range"),
        Index("ix_leads_status", "status"),
        Index("ix_leads_phone", "phone"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("companies.id"))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    email: Mapped[str] = mapped_column(Text)
    email_domain: Mapped[str | None] = mapped_column(Text, Computed("lower(split_part(email, '@', 2))", persisted=True))
    full_name: Mapped[str | None] = mapped_column(Text)
    status: Mapped[LeadStatus] = mapped_column(Enum(LeadStatus, name="lead_status"), server_default="new")
    score: Mapped[Decimal] = mapped_column(Numeric(5, 2), server_default="0")
    source: Mapped[str | None] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(String(32))
    note: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    company: Mapped[Company] = relationship()
    calls: Mapped[list[Call]] = relationship()


class Call(Base):
    __tablename__ = "calls"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    lead_id: Mapped[int] = mapped_column(ForeignKey("leads.id", ondelete="CASCADE"))
    result: Mapped[CallResult] = mapped_column(Enum(CallResult, name="call_result"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Campaign(Base):
    __tablename__ = "campaigns"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class ScanJob(Base):
    __tablename__ = "scan_jobs"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    domain: Mapped[str] = mapped_column(String(512))
    state: Mapped[JobState] = mapped_column(Enum(JobState, name="job_state"), server_default="queued", index=True)
    requested_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


# Append only and never addressed by row: it has no primary key.
audit_log = Table(
    "audit_log",
    Base.metadata,
    Column("at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("payload", JSONB),
)
