// Package proxy is what the two proxies of the request road share: the
// activator, through which every request enters, and queue-proxy, which
// stands in front of every user container.
//
//	Breaker   so many requests at a time, so many waiting, the rest refused
//	Counter   exact numbers: average concurrency, requests, requests in flight
//	Metrics   those numbers and latencies, as Prometheus reads them
//	Drain     how a server leaves without losing a request
//	Server    serves until its context ends, then drains
//	Once      no request is sent twice that the next hop may have seen
//	New       a reverse proxy which changes nothing it was not asked to change
//
// It needs the standard library only, because queue-proxy starts in every pod.
package proxy
