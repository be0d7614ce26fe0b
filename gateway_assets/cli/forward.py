"""``forward.db``: the made-up database of a message-forwarding bot, to try foreign tables on.

The bot watches chats and puts every message it sees into ``task_queue``. Times are text in UTC, as
SQLAlchemy writes them or as isoformat() does. The same arguments always make the same rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from gateway_assets import clock
from gateway_assets.errors import UsageError
from gateway_assets.files.appear import appearing
from gateway_assets.hot.sql import Fragment, sql
from gateway_assets.hot.store import translated
from gateway_assets.progress import Progress, silent

ROWS, DAYS, BATCH = 234_033, 200, 5_000
CHATS, OLD_PENDING = 40, 20
MINUTE, OLD = 60 * clock.SECOND, 2 * clock.DAY
TO_FINISH = 4 * MINUTE  # so that the last task's own times are not after now
_PERCENT = {"rule_logs": 8, "audit_logs": 3, "media_signatures": 4}

_TABLE = """
[[tables]]
name = "{}"
database = {database}
time = "{}"
hot_days = {}
hot_days_from = "HOT_DAYS_{}"
priority = {}
"""
_REGISTERED = (
    ("task_queue", "created_at", 7, "TASK", 1),
    ("rule_logs", "created_at", 30, "LOG", 2),
    ("audit_logs", "timestamp", 30, "LOG", 3),
    ("media_signatures", "created_at", 60, "SIGN", 4),
)
_TASKS_ONLY = """where = "status IN ('done', 'failed')"
# created_at has no index of its own, and without one every run reads the whole table.
create_index = true
# The bot asks unique_key whether it has forwarded a message before, archived or not.
dedup_days = 30
"""
_TABLES = """
CREATE TABLE forward_rules (id INTEGER NOT NULL, name VARCHAR(100) NOT NULL,
    source_chat_id INTEGER NOT NULL, target_chat_id INTEGER NOT NULL, enabled BOOLEAN NOT NULL,
    created_at DATETIME, PRIMARY KEY (id));
CREATE TABLE task_queue (id INTEGER NOT NULL, task_type VARCHAR(50) NOT NULL,
    task_data TEXT NOT NULL, status VARCHAR(20), priority INTEGER, source_chat_id INTEGER,
    target_chat_id INTEGER, rule_id INTEGER, message_id INTEGER, grouped_id VARCHAR,
    unique_key VARCHAR(64), retry_count INTEGER, max_retries INTEGER, error_message TEXT,
    error_log TEXT, worker_id VARCHAR, total_items INTEGER, file_size INTEGER, speed REAL,
    done_count INTEGER, forwarded_count INTEGER, filtered_count INTEGER, locked_until DATETIME,
    scheduled_at DATETIME, started_at DATETIME, completed_at DATETIME, created_at DATETIME,
    updated_at DATETIME, PRIMARY KEY (id));
CREATE TABLE rule_logs (id INTEGER NOT NULL, rule_id INTEGER NOT NULL, message_id INTEGER,
    action VARCHAR(50), result VARCHAR(50), details TEXT, duration_ms INTEGER,
    created_at DATETIME, PRIMARY KEY (id), FOREIGN KEY(rule_id) REFERENCES forward_rules (id));
CREATE TABLE audit_logs (id INTEGER NOT NULL, user_id INTEGER, username VARCHAR,
    action VARCHAR(50) NOT NULL, resource VARCHAR, ip_address VARCHAR(45), user_agent VARCHAR,
    status VARCHAR(20), details TEXT, timestamp DATETIME, PRIMARY KEY (id));
CREATE TABLE media_signatures (id INTEGER NOT NULL, chat_id INTEGER NOT NULL,
    signature VARCHAR(64) NOT NULL, file_id VARCHAR, media_type VARCHAR, file_size INTEGER,
    count INTEGER, created_at VARCHAR, updated_at VARCHAR, PRIMARY KEY (id),
    UNIQUE (chat_id, signature));
"""
_INDEXES = """
CREATE INDEX ix_task_queue_task_type ON task_queue (task_type);
CREATE INDEX ix_task_queue_status ON task_queue (status);
CREATE INDEX ix_task_queue_locked_until ON task_queue (locked_until);
CREATE UNIQUE INDEX ix_task_queue_unique_key ON task_queue (unique_key);
CREATE INDEX ix_task_queue_grouped_id ON task_queue (grouped_id);
CREATE INDEX ix_rule_logs_created_at ON rule_logs (created_at);
CREATE INDEX ix_rule_logs_rule_id ON rule_logs (rule_id);
CREATE INDEX ix_audit_logs_timestamp ON audit_logs (timestamp);
CREATE INDEX ix_media_signatures_created_at ON media_signatures (created_at);
"""

_WORDS = """\
the of a new today update with for market price release live video how world report after team free
今日 最新 消息 更新 资源 电影 完整版 下载 新闻 推荐 视频 分享 教程 合集 高清 音乐 免费
новости сегодня видео не что это как новый рынок цена город музыка фильм серия обзор погода футбол
de la el que en los noticias hoy nuevo video con mercado precio ciudad mundo partido capítulo música
"""
_LANGUAGES = [line.split() for line in _WORDS.splitlines()]
_FOOTERS = ("join us for more", "欢迎订阅转发 🔔", "подпишись на нас", "únete al canal 👇")
_EMOJI = "🔥📢🎬✅😂🚀👇🎉"
_MEDIA = (  # type, MIME type, file name's ending, logarithm of the usual size
    ("photo", "image/jpeg", "jpg", 11.8),
    ("video", "video/mp4", "mp4", 16.5),
    ("document", "application/pdf", "pdf", 14.5),
    ("audio", "audio/mpeg", "mp3", 15.3),
    None,
)
_FRAMES = ((1280, 720), (1920, 1080), (720, 1280), (1080, 1920), (960, 1280))
_ERRORS = (
    "FloodWaitError: A wait of {} seconds is required (caused by SendMediaRequest)",
    "ChannelPrivateError: The channel specified is private and you lack permission to access it",
)
_LOG = 'Traceback (most recent call last):\n  File "/app/services/queue.py", line 212, in run\n'
_BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0"

Row = tuple[Any, ...]
_EPOCH = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
_as_json = json.JSONEncoder(ensure_ascii=False).encode


def registry_lines(database: str) -> str:
    """The tables of ``database`` (a path, relative to the registry or absolute) as TOML."""
    tasks, *logs = (_TABLE.format(*row, database=json.dumps(database)) for row in _REGISTERED)
    return "".join([tasks, _TASKS_ONLY, *logs])


def write_forward_db(
    path: Path,
    *,
    rows: int = ROWS,
    days: int = DAYS,
    now: int | None = None,
    seed: int = 1,
    progress: Progress = silent,
) -> dict[str, int]:
    """Make the database appear at ``path``; return how many of the ``rows`` each table got.

    The rules are not counted. Raises UsageError when the file exists.
    """
    if path.exists():
        raise UsageError(f"{path} exists already", hint=f"to make it anew, first: rm {path}")
    bot = _Bot(Random(seed), clock.now() if now is None else now)  # noqa: S311  no secrets
    counts = {table: rows * percent // 100 for table, percent in _PERCENT.items()}
    counts = {"task_queue": rows - sum(counts.values()), **counts}
    done = 0
    with appearing(path) as file, translated(path), _filling(file.name) as connection:
        _insert(connection, "forward_rules", bot.forward_rules(days))
        for table, count in counts.items():
            made = getattr(bot, table)(bot.times(count, days))
            while batch := list(islice(made, BATCH)):
                _insert(connection, table, batch)
                progress(done := done + len(batch), rows)
    return counts


@contextmanager
def _filling(path: str) -> Iterator[sqlite3.Connection]:
    """One transaction without a journal, for a file that is thrown away unless it is finished."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.executescript(f"BEGIN; {_TABLES}")
        yield connection
        connection.execute("COMMIT")
        connection.executescript(_INDEXES)
        connection.execute("PRAGMA journal_mode=WAL")


def _insert(connection: sqlite3.Connection, table: str, rows: list[Row]) -> None:
    marks = Fragment(", ".join("?" * len(rows[0])))
    connection.executemany(sql("INSERT INTO {t} VALUES ({marks})", t=table, marks=marks), rows)


def _text(time: int | None, between: str = " ", digits: str = "microseconds") -> str | None:
    """A time as SQLAlchemy keeps it in SQLite; with "T" and "auto" as isoformat() alone does."""
    return None if time is None else (_EPOCH + timedelta(0, 0, time)).isoformat(between, digits)


@dataclass(slots=True)
class _Chat:
    rule: int
    id: int
    target: int
    message: int


class _Bot:
    """Makes the rows of the tables; what a method for a table is called, the table is called."""

    def __init__(self, random: Random, now: int) -> None:
        self.random, self.now = random, now
        ids = random.sample(range(-(10**12) - 2 * 10**9, -(10**12) - 10**9), 2 * CHATS)
        starts = random.choices(range(1, 900_000), k=CHATS)
        pairs = zip(ids[::2], ids[1::2], starts, strict=True)
        self.chats = [_Chat(rule, *known) for rule, known in enumerate(pairs, 1)]

    def pick(self, things: Sequence[Any]) -> Any:
        """The first ones often, the last ones seldom, as it is with words and chats."""
        return things[int(len(things) * self.random.random() ** 3)]

    def times(self, count: int, days: int) -> Iterator[int]:
        """Upwards and even, each somewhere in its share of the time, the last one at the end."""
        share = days * clock.DAY / max(count, 1)
        for left in range(count - 1, -1, -1):
            yield self.now - TO_FINISH - int(share * max(left - self.random.random(), 0))

    def forward_rules(self, days: int) -> list[Row]:
        time = _text(self.now - (days + 1) * clock.DAY)
        rules = ((c.rule, f"channel_{c.rule}", c.id, c.target) for c in self.chats)
        return [(*rule, rule[0] % 9 > 0, time) for rule in rules]

    def task_queue(self, times: Iterator[int]) -> Iterator[Row]:
        random, chat, grouped, all_times = self.random, self.chats[0], None, list(times)
        old = sum(self.now - time > OLD for time in all_times)
        stuck = set(random.sample(range(old), min(old // 10, OLD_PENDING)))
        for number, time in enumerate(all_times):
            if not grouped or random.random() < 0.4:
                chat = self.pick(self.chats)
                album = str(13 * 10**15 + random.getrandbits(48))
                grouped = album if random.random() < 0.03 else None
            # Telegram numbers a chat's messages upwards, and the bot does not see all of them.
            chat.message += min(1 + int(random.expovariate(0.7)), 9)
            weights = (96, 4, 0, 0) if number < old else (65, 5, 25, 5)
            (status,) = random.choices(("done", "failed", "pending", "processing"), weights)
            status = "pending" if number in stuck else status
            yield number + 1, *self._task(chat, grouped, status, time)

    def _task(self, chat: _Chat, grouped: str | None, status: str, created: int) -> Row:
        random, media = self.random, self._media(chat)
        size = media["file_size"] if media else None
        single = "download_media" if media and random.random() < 0.2 else "forward_message"
        scheduled = created + MINUTE if random.random() < 0.04 else None
        begin = (scheduled or created) + int(min(random.expovariate(0.25), 30) * clock.SECOND)
        transfer = min(size or 0, MINUTE)  # a megabyte a second
        end = begin + transfer + int(random.uniform(0.2, 2) * clock.SECOND)
        ran, over = status != "pending", status in {"done", "failed"}
        done, passed = int(status == "done"), int(random.random() < 0.9)
        error = self.pick(_ERRORS).format(random.randrange(5, 90)) if status == "failed" else None
        log = _LOG + error if error and random.random() < 0.3 else None
        worker = f"bot-7f9c4d-worker-{random.randrange(1, 5)}" if ran else None
        speed = size * clock.SECOND / (end - begin) if size and random.random() < 0.05 else None
        locked = begin + 10 * MINUTE if ran and not over else None
        what = "forward_album" if grouped else single, self._data(chat, media), status
        where = self.pick((0, 5, 10)), chat.id, chat.target, chat.rule, chat.message, grouped
        tries = f"fwd:{-chat.id}:{chat.message}", 3 if error else 0, 3, error, log, worker
        work = 1, size, speed, done, done * passed, done * (1 - passed)
        when = locked, scheduled, begin if ran else None, end if over else None, created
        updated = end if over else begin if ran else created
        return *what, *where, *tries, *work, *map(_text, when), _text(updated)

    def _media(self, chat: _Chat) -> dict[str, Any] | None:
        chosen = self.random.choices(_MEDIA, (40, 25, 8, 7, 20))[0]
        if chosen is None:
            return None
        kind, mime, ending, usual = chosen
        media: dict[str, Any] = {"type": kind, "mime_type": mime}
        media["file_name"] = f"{chat.message}.{ending}"
        media["file_size"] = int(self.random.lognormvariate(usual, 0.8))
        if kind in {"photo", "video"}:
            media["width"], media["height"] = self.pick(_FRAMES)
        if kind in {"video", "audio"}:
            media["duration"] = int(self.random.lognormvariate(5, 1))
        return media

    def _data(self, chat: _Chat, media: dict[str, Any] | None) -> str:
        words, footer = (texts[chat.rule % 4] for texts in (_LANGUAGES, _FOOTERS))
        length = self.random.randrange(3, 9) if media else self.random.randrange(20, 40)
        caption = " ".join(dict.fromkeys(self.pick(words) for _ in range(length)))
        if self.random.random() < 0.4:
            caption = f"{self.pick(_EMOJI)} {caption} #{self.pick(words)}"
        ids = {"chat_id": chat.id, "message_id": chat.message, "target_chat_id": chat.target}
        caption += f"\n\n📢 t.me/channel_{chat.rule} {footer}"
        more = {"rule_id": chat.rule, "silent": False, "media": media, "caption": caption}
        return _as_json(ids | more)

    def rule_logs(self, times: Iterator[int]) -> Iterator[Row]:
        for number, time in enumerate(times, 1):
            chat, took = self.pick(self.chats), int(self.random.lognormvariate(5, 1))
            what = self.pick((("forward", "success"), ("filter", "skipped"), ("send", "error")))
            keyword = self.pick(_LANGUAGES[chat.rule % 4])
            details = f"keyword {keyword!r} matched in {chat.id}, forwarded to {chat.target}"
            message = self.random.randrange(chat.message) + 1
            yield number, chat.rule, message, *what, details, took, _text(time)

    def audit_logs(self, times: Iterator[int]) -> Iterator[Row]:
        for number, time in enumerate(times, 1):
            user, rule = self.random.randrange(1, 6), self.pick(self.chats).rule
            action = self.pick(("rule.update", "rule.toggle", "rule.create"))
            client = f"192.0.2.{user}", self.pick((_BROWSER, "python-httpx/0.27.0"))
            details = _as_json({"rule": rule, "took_ms": self.random.randrange(90)})
            what = f"user{user}", action, f"rule:{rule}", *client, self.pick(("ok", "denied"))
            yield number, user, *what, details, _text(time)

    def media_signatures(self, times: Iterator[int]) -> Iterator[Row]:
        for number, exact in enumerate(times, 1):
            chat, bits = self.pick(self.chats), self.random.getrandbits
            # Some were read from old messages, whose dates are whole seconds.
            time = exact - exact % clock.SECOND if self.random.random() < 0.02 else exact
            media = self._media(chat) or {"type": "sticker", "file_size": 30_000}
            seen = 1 + int(self.random.expovariate(1.5))
            updated = time if seen == 1 else self.random.randrange(time, self.now)
            dates = _text(time, "T", "auto"), _text(updated, "T", "auto")
            key = number, chat.id, f"{bits(256):064x}", str(bits(62))
            yield *key, media["type"], media["file_size"], seen, *dates
