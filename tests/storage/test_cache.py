import sys
import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bfly.keywords import RUNTIME
from bfly.storage.cache import Cache
from bfly.storage.lru_cache import OVERHEAD


def cache_of(size: int) -> Cache:
    runtime = RUNTIME()
    runtime.CACHE.MAX.VALUE = size
    return Cache(runtime)


def cost(key: str, nbytes: int) -> int:
    return nbytes + sys.getsizeof(key) + OVERHEAD


def test_a_miss_is_an_empty_list() -> None:
    assert cache_of(1000).get("a") == []


def test_what_was_set_is_got() -> None:
    cache, value = cache_of(10_000), np.arange(10)
    assert cache.set("a", value) == 0
    assert cache.get("a") is value
    assert cache._now_memory == cost("a", value.nbytes)


def test_a_replaced_value_counts_once() -> None:
    cache = cache_of(10_000)
    cache.set("a", np.zeros(100, np.uint8))
    cache.set("a", np.zeros(300, np.uint8))
    assert cache._now_memory == cost("a", 300)
    assert list(cache._cache) == ["a"]


def test_a_value_larger_than_the_cache_is_refused_and_the_old_one_goes() -> None:
    cache = cache_of(2000)
    cache.set("a", np.zeros(10, np.uint8))
    assert cache.set("a", np.zeros(2001, np.uint8)) == -1
    assert cache.get("a") == []
    assert cache._now_memory == 0


def test_the_least_recently_used_goes_first() -> None:
    cache = cache_of(3 * cost("a", 100))
    for key in "abc":
        cache.set(key, np.zeros(100, np.uint8))
    cache.get("a")
    cache.set("d", np.zeros(100, np.uint8))
    assert list(cache._cache) == ["c", "a", "d"]


def test_keywords_say_their_own_size() -> None:
    cache = cache_of(10_000)
    cache.set("k", {"meta-size": 4096, "block-size": [1]})
    assert cache._now_memory == cost("k", 4096)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3000)), max_size=60))
def test_it_is_never_over_its_bound_and_counts_right(steps: list[tuple[str, int]]) -> None:
    cache = cache_of(6000)
    for key, size in steps:
        cache.set(key, np.zeros(size, np.uint8))
        assert cache._now_memory <= 6000
        sizes = {key: cost(key, value.nbytes) for key, value in cache._cache.items()}
        assert cache._sizes == sizes
        assert cache._now_memory == sum(sizes.values())


def test_many_threads_leave_the_count_right() -> None:
    cache = cache_of(50_000)

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(500):
            key = str(random.integers(40))
            if len(found := cache.get(key)):
                assert found[0] == int(key)
            cache.set(key, np.full(random.integers(1, 3000), int(key), np.uint8))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache._now_memory == sum(cache._sizes.values()) <= 50_000


def test_several_at_once_are_as_one_after_the_other() -> None:
    cache, values = cache_of(10_000), {key: np.arange(ord(key)) for key in "abc"}
    for key, value in values.items():
        cache.set(key, value)
    a, nothing, b = cache.get_many(["a", "z", "b"])
    assert (a is values["a"], nothing, b is values["b"]) == (True, [], True)
    assert list(cache._cache) == ["c", "a", "b"]
    assert cache.get_many([]) == []
