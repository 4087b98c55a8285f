// Package way sends one request, and draws the way that it took.
//
// A request with a Devbox-Trace header makes each of devbox's proxies tell of
// itself in the answer. The client tells the rest: what it connected to, what
// it sent, and how long that took. Of these observations a Way is made, which
// is drawn as text or as SVG:
//
//	Send ──> Observation ──> Make ──> Way ──┬──> Text
//	 (net/http/httptrace,    (pure)         ├──> SVG
//	  proxy.Hops, Server-Timing)            └──> JSON, as it is
//
// Nothing is assumed. Two neighbours are neighbours where the one sent from and
// to the addresses that the other saw; where these differ, something is in
// between, and is unknown unless it has put its name into the answer. A hop
// that did not report is unknown. Of headers there are the names alone, as
// their values may be secret.
package way
