"""Says of each database what is in it: the number of its last transaction, or why it
is not the state after one."""

import os
import sqlite3
import sys


def look(path):
    if not os.path.exists(path):
        return "absent"
    try:
        connection = sqlite3.connect(path)
        whole = connection.execute("PRAGMA integrity_check").fetchall()
        if whole != [("ok",)]:
            return f"damaged: {whole[:3]}"
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not {"a", "b"} <= tables:
            return "0"
        numbers = [number for (number,) in connection.execute("SELECT number FROM b ORDER BY number")]
        rows = connection.execute("SELECT number, count(*) FROM a GROUP BY number ORDER BY number").fetchall()
        if numbers != list(range(1, len(numbers) + 1)):
            return f"not a prefix: {numbers}"
        if rows != [(number, 3) for number in numbers]:
            return "half a transaction"
        return str(len(numbers))
    except sqlite3.Error as error:
        return f"damaged: {error}"


for line in sys.stdin:
    print(look(line.rstrip("\n")), flush=True)
