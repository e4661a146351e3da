//! WebSockets over HTTP/2 (RFC 8441): what each rule asks, and which test holds it.
//!
//! There is no public suite for this. The other end is the crate `h2` without a WebSocket library of ours, and where that
//! would refuse to send what is to be sent, HTTP/2 frames as bytes. `tests/interop` has node's `http2` and Debian's chromium in
//! its place, and `tests/proxies` has nghttpx between both ends.
//!
//! | rule | asks | server | client |
//! |---|---|---|---|
//! | RFC 8441 §3 | a server says SETTINGS_ENABLE_CONNECT_PROTOCOL = 1, and a client asks for nothing without it | `says_that_it_takes_websockets` | `asks_for_nothing_without_the_setting`, `waits_for_the_settings` |
//! | §4 | an extended CONNECT has `:protocol`, `:scheme`, `:path` and `:authority` | `tells_a_plain_connect_400_and_a_get_405`, `refuses_a_connect_without_scheme_or_path` | `asks_as_the_rfc_does` |
//! | §5 | `:protocol` is `websocket`; RFC 9220 §3: another one gets 501 | `tells_another_protocol_501` | `asks_as_the_rfc_does` |
//! | §5 | `:scheme` is `https` for `wss:`, `http` for `ws:` | `tells_another_scheme_400` | `asks_as_the_rfc_does` |
//! | §5 | no Connection, Upgrade, Host, Key or Accept | `ignores_a_key_and_answers_without_accept`, `resets_a_request_with_fields_of_one_connection` | `asks_as_the_rfc_does`, `takes_no_notice_of_an_accept` |
//! | §5 | Sec-WebSocket-Version is 13, and what else is supported is told | `tells_another_version_400_with_the_one_it_knows` | `asks_as_the_rfc_does` |
//! | §5 | subprotocols and extensions as in HTTP/1.1 | `chooses_a_subprotocol_and_deflate` | `fails_on_what_it_did_not_ask_for` |
//! | §5; RFC 6455 §10.2 | Origin as in HTTP/1.1 | `tells_pages_of_other_hosts_403_and_opens_nothing`, `same_host_is_the_authority` | `asks_as_the_rfc_does` |
//! | §5 | 2xx accepts, everything else refuses | `chooses_a_subprotocol_and_deflate` | `takes_any_2xx`, `is_refused_with_the_status_and_the_body` |
//! | §5 | DATA is what TCP would carry, however it is cut | `reads_frames_cut_at_every_byte_and_between_empty_ones` | the same |
//! | §5 | END_STREAM is the orderly end | `end_of_the_stream_without_a_close_is_lost`, `both_ends_end_the_stream_behind_a_close`, `close_is_not_overtaken_by_a_reset` | the same |
//! | §5 | RST_STREAM with CANCEL is a reset | `reset_stream_is_lost_to_its_handler_and_to_nobody_else` | `reset_stream_is_an_error`, `dropped_websocket_resets_its_stream` |
//! | RFC 9113 §5.2 | no byte beyond the window, none of it forgotten | `sends_no_more_than_the_window_and_goes_on_when_it_grows`, `large_messages_cross_windows_of_every_size_both_ways` | the same |
//! | RFC 9113 §5.2 | a WebSocket that nobody reads holds up none of the others | `unread_websocket_does_not_hold_up_the_others` | the same |
//! | RFC 9113 §5.2 | nor one that waits for room and is polled no more | – | `websocket_that_waits_and_is_not_polled_does_not_keep_the_window_from_the_others` |
//! | RFC 9113 §10.5 | small frames cost no more memory than a bound, which is large enough | `ten_thousand_small_messages_may_wait_for_their_handler` | `server_that_cuts_messages_into_bytes_for_nobody_loses_the_connection` |
//! | RFC 9113 §5.4.1 | a connection that nobody uses ends, whatever its peer does | – | `connection_outlives_its_handle_and_ends_with_its_last_websocket`, `connection_to_a_server_that_takes_nothing_ends_when_nobody_uses_it` |
//! | RFC 9113 §9.1.1 | a connection is for the origin that it was made to | – | `connection_is_for_the_origin_that_it_was_made_to` |
//! | RFC 9113 §5.1.2 | no more streams than the server allows | – | `waits_for_a_place_among_the_streams` |
//! | RFC 9113 §6.8, §3 | the connection's end is the end of all its WebSockets | `lost_connection_ends_all_its_websockets` | the same |
//! | RFC 9113 §8.3.1 | `:authority` and Host are the same | `tells_another_host_than_the_authority_400` | `asks_as_the_rfc_does` |
//! | RFC 7692 | RSV1 is kept | `compressed_messages_keep_rsv1` | the same |
//! | RFC 9113 §3.2 | `h2` by ALPN, else HTTP/1.1 | – | `falls_back_to_http_1_1_by_alpn`, `falls_back_if_the_server_takes_none_over_http2` |
#![cfg(all(feature = "hyper", feature = "http2", feature = "deflate"))]
#![allow(clippy::unwrap_used)] // what fails here fails the test

#[path = "../io/mod.rs"]
mod io;

#[cfg(feature = "rustls")]
mod alpn;
mod both;
mod client;
mod peers;
mod server;
