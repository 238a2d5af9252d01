# SPDX-License-Identifier: Apache-2.0
"""The servers that the tests themselves stand on."""

import redis
import sqlalchemy

from tests.support.servers import PostgresServer, RedisServer


def test_postgres_database_is_fresh(postgres_server: PostgresServer, postgres_url: str) -> None:
    """Each test's database is empty, can be written to, and survives a crash of the server."""
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE things (name TEXT)"))
        connection.execute(sqlalchemy.text("INSERT INTO things VALUES ('one')"))
    engine.dispose()

    postgres_server.crash()
    postgres_server.start()
    with engine.begin() as connection:
        names = connection.execute(sqlalchemy.text("SELECT name FROM things")).scalars().all()
    engine.dispose()

    assert names == ["one"]


def test_redis_is_flushed(redis_server: RedisServer, redis_url: str) -> None:
    """Redis answers on its URL, is empty for each test, and comes back empty on the same port."""
    with redis.Redis.from_url(redis_url) as client:
        size = client.dbsize()
        client.set("key", "value")
    redis_server.restart()
    with redis.Redis.from_url(redis_url) as client:
        size_after_restart = client.dbsize()

    assert (size, size_after_restart) == (0, 0)
