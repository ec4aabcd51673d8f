# SPDX-License-Identifier: Apache-2.0
#
# fill.py STORE JOBS: copies the one job of a gateway that does not run, so many times; every tenth has a deadline, two days and more ahead.
import datetime, json, sqlite3, sys

store, count = sys.argv[1], int(sys.argv[2])
database = sqlite3.connect(store)
row = database.execute("SELECT * FROM jobs").fetchone()
columns = [column[1] for column in database.execute("PRAGMA table_info(jobs)")]
record = json.loads(row[columns.index("record")])
classes = ["checkpoint", "staging", "best-effort"]
now = datetime.datetime.now(datetime.timezone.utc)


def copies():
    for i in range(count):
        job = dict(record, id=f"{i:016x}", number=i + 10, transfer=f"{i:032x}")
        job["spec"] = dict(record["spec"], destination=f"wisconsin:data/{i}", bytes=1_000_000 + i, **{"class": classes[i % 3]})
        if i % 10 == 0:
            job["spec"]["deadline"] = (now + datetime.timedelta(days=2.5, seconds=i)).strftime("%Y-%m-%dT%H:%M:%SZ")
        values = dict(zip(columns, row), id=job["id"], number=job["number"], record=json.dumps(job), **{"class": classes[i % 3]})
        yield [values[column] for column in columns]


database.executemany(f"INSERT INTO jobs VALUES ({', '.join('?' * len(columns))})", copies())
database.commit()
database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
