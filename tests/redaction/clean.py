"""Texts without secrets that look as if they had some: numbers, ids, code, prices, dates.

Made from a seed, so that everybody counts the same.
"""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable, Iterator
from typing import Final

_SENTENCES: Final = (
    "The quick brown fox jumps over the lazy dog while the authorization of the board is pending.",
    "Bearer bonds and basic arithmetic are the secret of his success; the password is forgotten.",
    "Meet me @ the station at 10:45, or call when you are there!",
    "In 2024 revenue rose by 12.5% to $1,234,567.89, after 1,098,765 in 2023.",
    "Follow @genai on the usual networks, or read chapters 3-7 of ISBN 978-3-16-148410-0.",
    "def area(self): return self.width @ self.height  # matrix product",
    "@dataclass(slots=True)\nclass Point:\n    x: float = 0.1234567890123456",
    "git clone git@github.com:example/project.git && pip install package==1.24.3",
    "SELECT id, total FROM orders WHERE created_at >= '2026-11-21' AND status IN (1, 2, 3);",
    "Use https://docs.example.com:8443/path/v1.2.3?page=2&sort=asc#section-4 for more.",
    "for i in range(1000000000000000): total += i * 3.141592653589793",
    "The coordinates are 52.5200066, 13.4049540 at an altitude of 34 m (±0.5).",
    "Image: icon@2x.png, photo@3x.jpg; size 1920x1080; checksum crc32=3632233996",
    "Temperatures: -12.5, 0, 37.0, 1e-10, 6.02214076e+23, +5, +10",
    "A = [[1, 2, 3], [4, 5, 6]]; b = {'key': 'value', 'token': 1, 'tokens': [15496, 11, 995]}",
    "Die Straße ist 030 Meter lang; der Zug fährt um 12.30 Uhr ab Gleis 7 nach 10115 Berlin.",
    "日本語のテキスト、2026年11月21日、価格は¥12,800です。",
    "Error 404: model `gpt-4o-mini-2024-07-18` not found (request req_011CVbTn9LLTM2).",
    "sk-learn's RandomForestClassifier(n_estimators=100, random_state=42) scored 0.9873.",
    "tcp://10.0.0.1:4317 listens; 127.0.0.1 and ::1 are loopback; version 1.2.3.4 is out.",
    "The tracking number is 1Z999AA10123456784 and weighs 12.345 kg.",
    "Score 3-0, 15:30-16:45, pages 100-250, 2019-2024, 555-1234 is not enough for a call.",
    "task-management-system-for-large-enterprises is a slug, and so is risk-assessment-2024-07-18.",
)
_MODELS: Final = (
    "gpt-4o-mini-2024-07-18", "claude-3-5-sonnet-20241022", "gemini-1.5-pro-002",
    "anthropic.claude-3-haiku-20240307-v1:0", "mistral-large-2407", "text-embedding-3-small",
    "meta-llama/Llama-3.1-70B-Instruct", "claude-3-5-sonnet@20240620", "o1-preview-2024-09-12",
    "ft:gpt-3.5-turbo-0125:org::9ABCdef1",
)  # fmt: skip

_BASE64: Final = string.ascii_letters + string.digits + "+/"

Maker = Callable[[random.Random], str]


def _hex(length: int) -> Maker:
    return lambda rng: f"{rng.getrandbits(length * 4):0{length}x}"


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


MAKERS: Final[dict[str, Maker]] = {
    "sentence": lambda rng: rng.choice(_SENTENCES),
    "model": lambda rng: rng.choice(_MODELS),
    "uuid": _uuid,
    "uuids in a list": lambda rng: f'["{_uuid(rng)}", "{_uuid(rng)}"]',
    "trace id": _hex(32),
    "span id": _hex(16),
    "digest": _hex(64),
    "nanoseconds": lambda rng: str(1_700_000_000_000_000_000 + rng.getrandbits(58)),
    "milliseconds": lambda rng: str(1_700_000_000_000 + rng.getrandbits(37)),
    "seconds": lambda rng: f"{1_700_000_000 + rng.random() * 1e8:.6f}",
    "fraction": lambda rng: repr(rng.random()),
    "vector": lambda rng: str([rng.uniform(-1, 1) for _ in range(20)]),
    "order": lambda rng: (
        f"Order no. {rng.randrange(10**7, 10**10)} of {rng.randrange(1, 29)}/11/2026"
    ),
    "order with dashes": lambda rng: (
        f"order {rng.randrange(100, 999)}-{rng.randrange(10**6, 10**7)}-"
        f"{rng.randrange(10**6, 10**7)}"
    ),
    "invoice": lambda rng: (
        f"INV-2026-{rng.randrange(10**6):06d}, due 2026-12-{rng.randrange(1, 29):02d}"
    ),
    "price": lambda rng: f"EUR {rng.randrange(1, 10**6):,}.{rng.randrange(100):02d}",
    "iso time": lambda rng: (
        f"2026-{rng.randrange(1, 13):02d}-21T03:25:{rng.randrange(60):02d}.123456789+00:00"
    ),
    "barcode": lambda rng: str(rng.randrange(10**12, 10**13)),
    "number of 12": lambda rng: str(rng.randrange(10**11, 10**12)),
    "snowflake": lambda rng: str(rng.randrange(10**17, 2 * 10**18)),
    "version": lambda rng: ".".join(str(rng.randrange(40)) for _ in range(rng.randrange(2, 4))),
    "completion id": lambda rng: f"chatcmpl-{_hex(24)(rng)}",
    "call id": lambda rng: f"call_{_hex(24)(rng)}",
    "base64": lambda rng: "data:image/png;base64," + "".join(rng.choices(_BASE64, k=400)),
    "usage": lambda rng: (
        f'{{"prompt_tokens": {rng.randrange(10**5)}, "completion_tokens": {rng.randrange(10**4)}, '
        f'"cost": {rng.random() / 100!r}, "created": {1_700_000_000 + rng.getrandbits(26)}}}'
    ),
    "message": lambda rng: (
        f'[{{"role": "user", "parts": [{{"type": "text", "content": "On {rng.randrange(1, 29)} May '
        f'we sold {rng.randrange(10**4)} units @ ${rng.randrange(100)}.99"}}]}}]'
    ),
    "log line": lambda rng: (
        f"2026-11-21 03:25:{rng.randrange(60):02d},{rng.randrange(1000):03d} INFO "
        f"worker-{rng.randrange(9)} took {rng.random():.3f}s for "
        f"{rng.randrange(10**9)} bytes, pid {rng.randrange(99999)}"
    ),
}  # fmt: skip


def texts(count: int, seed: int = 4) -> Iterator[tuple[str, str]]:
    """(kind, text), all kinds in turn."""
    rng = random.Random(seed)
    kinds = list(MAKERS.items())
    for at in range(count):
        kind, make = kinds[at % len(kinds)]
        yield kind, make(rng)
