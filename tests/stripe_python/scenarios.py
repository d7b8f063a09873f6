"""Stripe's own client library against a Stripe-shaped server that wears the layer.

Started by the Rust test beside it: scenarios.py BASE_URL. Prints one line per scenario; any exception is a failure. What only the server
can know (how often it was asked, under which keys, what it carried out) is asked at its /test/log.
"""

import json
import sys
import threading
import time
import urllib.request

import stripe

BASE = sys.argv[1]


def client(retries):
    return stripe.StripeClient(
        "sk_test_acme", base_addresses={"api": BASE}, max_network_retries=retries
    )


def charge(story, amount=1999, retries=2, key=None):
    """One charge. What goes wrong on the way is the story; the server reads it from the description."""
    params = {"amount": amount, "currency": "eur", "source": "tok_visa", "description": story}
    options = {"idempotency_key": key} if key else {}
    return client(retries).v1.charges.create(params, options)


def log(story):
    """What the server saw of a story: one [key, status] per request (status 0: the connection was cut), and its effects."""
    with urllib.request.urlopen(f"{BASE}/test/log/{story}") as answer:
        return json.load(answer)


def check(holds, *seen):
    if not holds:
        raise AssertionError(seen)


def one_key(requests, statuses):
    check([status for _, status in requests] == statuses, requests, "expected", statuses)
    keys = {key for key, _ in requests}
    check(len(keys) == 1 and None not in keys, keys)
    return keys.pop()


def fails_with(kind, act):
    try:
        act()
    except kind as error:
        check(type(error) is kind, type(error))
        return error
    raise AssertionError(f"no {kind.__name__}")


def says(error, status, code):
    # not every kind of error keeps a `code` of its own
    check((error.http_status, error.json_body["error"]["code"]) == (status, code), error.http_status, error.json_body)


def keys_of_its_own():
    first, second = charge("plain"), charge("plain")
    check(first.id != second.id, first.id, second.id)
    seen = log("plain")
    keys = [key for key, _ in seen["requests"]]
    check(len(set(keys)) == 2 and all(len(key) == 36 for key in keys), keys)
    check(seen["effects"] == 2, seen)


def replay_is_marked_and_the_key_echoed():
    first, again = charge("replay", key="replay-1"), charge("replay", key="replay-1")
    check(first.id == again.id, first.id, again.id)
    check("idempotent-replayed" not in first.last_response.headers)
    check(again.last_response.headers["idempotent-replayed"] == "true")
    check(again.last_response.idempotency_key == "replay-1")
    check(log("replay")["effects"] == 1)


def cut_connection():
    answer = charge("cut")
    seen = log("cut")
    one_key(seen["requests"], [0, 200])
    check(answer.last_response.headers["idempotent-replayed"] == "true")
    check(seen["effects"] == 1, seen)


def unknown_then_found():
    answer = charge("lost")
    seen = log("lost")
    one_key(seen["requests"], [500, 200])  # the retry had it looked up
    check(answer.last_response.headers["idempotent-replayed"] == "true")
    check(seen["effects"] == 1, seen)


def unknown_for_good():
    error = fails_with(stripe.APIError, lambda: charge("unknown"))
    says(error, 409, "outcome-unknown")
    check(error.headers["stripe-should-retry"] == "false")
    seen = log("unknown")
    one_key(seen["requests"], [500, 409])  # a third try was allowed, and not made
    check(seen["effects"] == 1, seen)


def in_flight():
    answers = []
    together = [
        threading.Thread(target=lambda: answers.append(charge("slow", key="slow-1"))) for _ in range(2)
    ]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    check(len(answers) == 2 and answers[0].id == answers[1].id, answers)
    seen = log("slow")
    statuses = sorted(status for _, status in seen["requests"])
    # one copy came while the other ran, and came back until that was through
    check(statuses[:2] == [200, 200] and statuses[2:] and set(statuses[2:]) == {409}, seen)
    check(seen["effects"] == 1, seen)


def in_flight_without_retries():
    slow = threading.Thread(target=lambda: charge("slow-once", key="slow-2"))
    slow.start()
    while not log("slow-once")["effects"]:
        time.sleep(0.01)
    error = fails_with(stripe.APIError, lambda: charge("slow-once", retries=0, key="slow-2"))
    says(error, 409, "idempotency_key_in_use")
    slow.join()


def mismatch():
    charge("mismatch", amount=100, key="mismatch-1")
    error = fails_with(stripe.IdempotencyError, lambda: charge("mismatch", amount=900, key="mismatch-1"))
    says(error, 400, "key-reused")
    seen = log("mismatch")
    one_key(seen["requests"], [200, 400])  # not retried
    check(seen["effects"] == 1, seen)


def decline():
    for _ in range(2):
        error = fails_with(stripe.CardError, lambda: charge("declined", key="declined-1"))
        says(error, 402, "card_declined")
    check(error.headers["idempotent-replayed"] == "true")
    check(log("declined")["effects"] == 1, "the issuer was asked once")


def malformed_key():
    error = fails_with(stripe.InvalidRequestError, lambda: charge("malformed", key="a,b"))
    says(error, 400, "key-invalid")
    check(log("malformed")["effects"] == 0)


def store_outage():
    urllib.request.urlopen(f"{BASE}/test/outage").read()  # until one request was refused
    charge("outage")
    seen = log("outage")
    one_key(seen["requests"], [503, 200])
    check(seen["effects"] == 1, seen)


SCENARIOS = [
    keys_of_its_own,
    replay_is_marked_and_the_key_echoed,
    cut_connection,
    unknown_then_found,
    unknown_for_good,
    in_flight,
    in_flight_without_retries,
    mismatch,
    decline,
    malformed_key,
    store_outage,
]

for scenario in SCENARIOS:
    try:
        scenario()
    except Exception as error:
        raise SystemExit(f"{scenario.__name__}: {type(error).__name__}: {error}") from error
    print("right", scenario.__name__, flush=True)
print("stripe", stripe.VERSION, len(SCENARIOS), "scenarios")
