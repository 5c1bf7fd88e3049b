"""The configuration file of the embedded Redis."""

import stat

from serving.stack.redis import RedisServer


def test_the_password_is_in_a_private_file_and_not_on_the_command_line(tmp_path):
    server = RedisServer(tmp_path / "redis", tmp_path / "redis.sock")
    server.configure("sesame")
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.config.stat().st_mode) == 0o600
    assert 'requirepass "sesame"\n' in server.config.read_text()
    assert "sesame" not in " ".join(server.command)


def test_nothing_acknowledged_can_be_lost_and_nobody_else_can_ask(tmp_path):
    server = RedisServer(tmp_path / "redis", tmp_path / "redis.sock")
    server.configure("sesame")
    lines = server.config.read_text().splitlines()
    for line in ('port "0"', 'appendonly "yes"', 'appendfsync "always"', 'unixsocketperm "700"'):
        assert line in lines
    assert 'maxmemory-policy "noeviction"' in lines


def test_a_path_of_any_letters_is_quoted(tmp_path):
    odd = tmp_path / 'a "b" c\\d ü'
    odd.mkdir()
    server = RedisServer(odd, odd / "redis.sock")
    server.configure("sesame")
    escaped = str(odd).replace("\\", "\\\\").replace('"', '\\"')
    assert f'dir "{escaped}"\n' in server.config.read_text()
