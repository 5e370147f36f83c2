"""A program that works with SQLite databases, told what to do line by line."""

import sqlite3
import sys

connections = {}
counts = {}


def opened(path, mode):
    if path not in connections:
        connection = sqlite3.connect(path, isolation_level=None, timeout=60)
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("PRAGMA wal_autocheckpoint=40")
        connection.execute("PRAGMA cache_size=8")
        connection.execute("CREATE TABLE IF NOT EXISTS a(number INTEGER, text BLOB)")
        connection.execute("CREATE TABLE IF NOT EXISTS b(number INTEGER PRIMARY KEY)")
        connections[path] = connection
    return connections[path]


def begin(connection, path):
    counts[path] = counts.get(path, 0) + 1
    connection.execute("BEGIN")
    for _ in range(3):
        connection.execute("INSERT INTO a VALUES(?, randomblob(3000))", (counts[path],))
    connection.execute("UPDATE a SET text = randomblob(3000) WHERE number % 7 = ?", (counts[path] % 7,))
    connection.execute("INSERT INTO b VALUES(?)", (counts[path],))


for line in sys.stdin:
    what, path, mode = line.split()
    connection = opened(path, mode)
    if what == "commit":
        begin(connection, path)
        connection.execute("COMMIT")
    elif what == "begin":
        begin(connection, path)
    elif what == "end":
        connection.execute("COMMIT")
    elif what == "checkpoint":
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    elif what == "close":
        connection.close()
        del connections[path]
    print(counts.get(path, 0), flush=True)
