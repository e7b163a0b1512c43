"""What metrics tell of caches; zones are those of the directive, with commas between."""

from clusterdns.metrics import Counter, Gauge

_BLOCK = ("server", "zones", "view")
_STORE = ("server", "type", "zones", "view")

entries = Gauge("coredns_cache_entries", "Replies that are kept.", _STORE)
requests = Counter("coredns_cache_requests_total", "Queries that a cache was asked.", _BLOCK)
hits = Counter("coredns_cache_hits_total", "Queries that a cache had a reply for.", _STORE)
misses = Counter("coredns_cache_misses_total", "Queries that a cache had no reply for.", _BLOCK)
prefetches = Counter(
    "coredns_cache_prefetch_total", "Replies asked for anew in the background.", _BLOCK
)
drops = Counter(
    "coredns_cache_drops_total", "Replies not kept since they answer another question.", _BLOCK
)
served_stale = Counter(
    "coredns_cache_served_stale_total", "Queries answered by a reply whose time is over.", _BLOCK
)
evictions = Counter(
    "coredns_cache_evictions_total", "Replies that went to make room for others.", _STORE
)
