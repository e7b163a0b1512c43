"""What Prometheus is to see: the metrics that dashboards and alerts for CoreDNS ask for."""

# CoreDNS's families as its 1.14.7 shows them (4.3, 4.4): type, labels, buckets.
_QUERY = "server zone view"
_CACHE = "server zones view"
_TEMPLATE = "server zone view class type"
_DURATIONS = " ".join(f"{0.00025 * 2**power:g}" for power in range(16))
_SIZES = "0 100 200 300 400 511 1023 2047 4095 8291 16000 32000 48000 64000"
_PROGRAMMING = " ".join(f"{0.001 * 2**power:g}" for power in range(20))

# Without labels, and so 0 from the start, whatever the Corefile has.
FROM_THE_START = {
    "coredns_build_info": ("gauge", "version revision goversion", ""),
    "coredns_forward_healthcheck_broken": ("counter", "", ""),
    "coredns_forward_max_concurrent_rejects": ("counter", "", ""),
    "coredns_health_request_duration_seconds": ("histogram", "", "0.00025 0.0025 0.025 0.25 2.5"),
    "coredns_health_request_failures": ("counter", "", ""),
    "coredns_hosts_reload_timestamp_seconds": ("gauge", "", ""),
    "coredns_local_localhost_requests": ("counter", "", ""),
    "coredns_panics": ("counter", "", ""),
    "coredns_plugin_enabled": ("gauge", f"{_QUERY} name", ""),
    "coredns_reload_failed": ("counter", "", ""),
}
# Counted for every query.
OF_QUERIES = {
    "coredns_dns_do_requests": ("counter", _QUERY, ""),
    "coredns_dns_request_duration_seconds": ("histogram", _QUERY, _DURATIONS),
    "coredns_dns_request_size_bytes": ("histogram", f"{_QUERY} proto", _SIZES),
    "coredns_dns_requests": ("counter", f"{_QUERY} proto family type", ""),
    "coredns_dns_response_size_bytes": ("histogram", f"{_QUERY} proto", _SIZES),
    "coredns_dns_responses": ("counter", f"{_QUERY} rcode plugin", ""),
}
# Counted by directives, for some queries.
OF_DIRECTIVES = {
    "coredns_acl_allowed_requests": ("counter", "server view", ""),
    "coredns_acl_blocked_requests": ("counter", _QUERY, ""),
    "coredns_acl_dropped_requests": ("counter", _QUERY, ""),
    "coredns_acl_filtered_requests": ("counter", _QUERY, ""),
    "coredns_autopath_success": ("counter", "server", ""),
    "coredns_cache_entries": ("gauge", f"{_CACHE} type", ""),
    "coredns_cache_hits": ("counter", f"{_CACHE} type", ""),
    "coredns_cache_misses": ("counter", _CACHE, ""),
    "coredns_cache_requests": ("counter", _CACHE, ""),
    "coredns_dns64_requests_translated": ("counter", "server", ""),
    "coredns_proxy_conn_cache_hits": ("counter", "proxy_name to proto", ""),
    "coredns_proxy_conn_cache_misses": ("counter", "proxy_name to proto", ""),
    "coredns_proxy_request_duration_seconds": ("histogram", "proxy_name to rcode", _DURATIONS),
    "coredns_template_matches": ("counter", _TEMPLATE, ""),
    "coredns_template_rr_failures": ("counter", f"{_TEMPLATE} section template", ""),
    "coredns_template_template_failures": ("counter", f"{_TEMPLATE} section template", ""),
}
# Counted for changes that the API says the time of.
OF_THE_CLUSTER = {
    "coredns_kubernetes_dns_programming_duration_seconds": (
        *("histogram", "service_kind", _PROGRAMMING),
    ),
}
