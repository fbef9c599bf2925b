"""Sample data, the same every time: `python -m hunter.seed --rows 220000`."""

from __future__ import annotations

import argparse

from sqlalchemy import text
from sqlalchemy.orm import Session

from hunter.db import engine

USERS = 20
SCAN_JOBS = 180

# Made inside the server, so that a few hundred thousand rows take seconds. No random(): a seed can be compared.
# mod() picks; the values hold what breaks careless copies: Turkish letters, tabs, backslashes, newlines, NULLs.
STATEMENTS = {
    "users": """
        INSERT INTO users (email, name)
        SELECT 'user' || n || '@hunter.example',
               (ARRAY['Çağrı Öğütçü', 'Işıl Şahin', 'İpek Ünal', 'Gökçe Yıldız', 'John "Jack" O''Neil'])[1 + mod(n, 5)]
          FROM generate_series(1, :users) n
    """,
    "companies": """
        INSERT INTO companies (domain, name, country, city, annual_revenue, profile, note, created_at)
        SELECT CASE WHEN n = 1 THEN 'example.com'
                    ELSE 'firma-' || n || (ARRAY['.com.tr', '.de', '.co.uk'])[1 + mod(n, 3)] END,
               (ARRAY['Şişli Tekstil A.Ş.', 'Öztürk Gıda', 'Iğdır Lojistik', 'Çınar Ltd.'])[1 + mod(n, 4)] || ' ' || n,
               (ARRAY['TR', 'DE', 'GB'])[1 + mod(n, 3)],
               (ARRAY['İstanbul', 'Muğla', 'Diyarbakır', NULL, 'Eskişehir'])[1 + mod(n, 5)],
               CASE WHEN mod(n, 6) > 0 THEN mod(n::bigint * 7919, 100000000) / 100.0 END,
               jsonb_build_object('employees', mod(n, 500), 'tags', jsonb_build_array('ihracat', 'b2b')),
               CASE mod(n, 4)
                   WHEN 0 THEN E'İlk satır\\nikinci satır\\tsekmeli'
                   WHEN 1 THEN E'C:\\\\Kayıtlar\\\\müşteri\\\\' || n
                   WHEN 2 THEN ''
               END,
               timestamptz '2025-01-01 09:00:00+03' + n * interval '1 minute'
          FROM generate_series(1, :companies) n
         ORDER BY n
    """,
    "domain_signals": """
        WITH numbered AS (SELECT id, domain, row_number() OVER (ORDER BY id) AS number FROM companies)
        INSERT INTO domain_signals (company_id, kind, value, details, observed_at)
        SELECT id,
               (enum_range(NULL::signal_kind))[1 + mod(n, 5)],
               CASE WHEN mod(n, 7) > 0 THEN 'V=' || md5(n::text) || E'\\tInclude:SPF.' || domain END,
               jsonb_build_object('ttl', 300 + mod(n, 10) * 60, 'answers', mod(n, 4)),
               timestamptz '2025-01-02 00:00:00+03' + n * interval '3 seconds'
          FROM generate_series(1, :domain_signals) n
          JOIN numbered ON number = 1 + mod(n - 1, :companies)
         ORDER BY n
    """,
    # One address in a hundred comes again in capitals: two leads, until someone believes that they are one.
    "leads": """
        WITH numbered AS (SELECT id, domain, row_number() OVER (ORDER BY id) AS number FROM companies),
             owners AS (SELECT id, row_number() OVER (ORDER BY id) AS number FROM users)
        INSERT INTO leads (company_id, owner_id, email, full_name, status, score, note, created_at)
        SELECT c.id,
               o.id,
               CASE WHEN mod(n - 1, 100) = 99 AND n > :companies
                    THEN 'KISI' || n - :companies || '@' || upper(c.domain)
                    ELSE 'kisi' || n || '@' || c.domain END,
               (ARRAY['Ayşe  Yılmaz', 'Mehmet Çelik', 'İbrahim ŞİMŞEK', NULL, 'Ömer Güneş'])[1 + mod(n, 5)],
               (enum_range(NULL::lead_status))[1 + mod(n, 5)],
               mod(n * 37, 10001) / 100.0,
               CASE WHEN mod(n, 9) = 0 THEN E'Aradı:\\n\\t"yarın"\\\\akşam' END,
               timestamptz '2025-01-10 00:00:00+03' + n * interval '10 seconds'
          FROM generate_series(1, :leads) n
          JOIN numbered c ON c.number = 1 + mod(n - 1, :companies)
          LEFT JOIN owners o ON o.number = mod(n, :users + 5)
         ORDER BY n
    """,
    "scan_jobs": """
        INSERT INTO scan_jobs (domain, state, requested_at, finished_at)
        SELECT 'firma-' || n || '.de', 'done', at, at + interval '2 seconds'
          FROM generate_series(1, :scan_jobs) n,
               LATERAL (SELECT timestamptz '2025-01-20 10:00:00+03' + n * interval '1 hour' AS at) times
    """,
    "audit_log": """
        INSERT INTO audit_log (at, actor, action, payload)
        SELECT timestamptz '2025-01-10 00:00:00+03' + n * interval '20 seconds',
               'kullanıcı ' || mod(n, 20),
               (ARRAY['lead.added', 'lead.changed', 'scan.done'])[1 + mod(n, 3)],
               CASE WHEN mod(n, 3) > 0 THEN jsonb_build_object('lead', n) END
          FROM generate_series(1, :audit_log) n
    """,
}


def shares(rows: int) -> dict[str, int]:
    """How many rows each table gets, together exactly `rows`."""
    if rows < 1000:
        raise SystemExit("--rows must be at least 1000.")
    rest = rows - USERS - SCAN_JOBS
    parts = {"companies": rest // 10, "leads": rest * 3 // 10, "audit_log": rest // 10}
    return parts | {"users": USERS, "scan_jobs": SCAN_JOBS, "domain_signals": rest - sum(parts.values())}


def fill(rows: int) -> dict[str, int]:
    counts = shares(rows)
    with Session(engine()) as database, database.begin():
        if database.scalar(text("SELECT EXISTS (SELECT FROM companies WHERE domain = 'example.com')")):
            return {}
        return {table: _insert(database, sql, counts) for table, sql in STATEMENTS.items()}


def _insert(database: Session, sql: str, counts: dict[str, int]) -> int:
    return int(database.execute(text(sql), counts).rowcount)  # type: ignore[attr-defined]


def analyze() -> None:
    with engine().connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=220_000)
    filled = fill(parser.parse_args().rows)
    if not filled:
        print("The sample data is already there.")
        return
    analyze()
    print(f"{sum(filled.values())} rows:", ", ".join(f"{table} {count}" for table, count in filled.items()))


if __name__ == "__main__":
    main()
