//! Hostile peers: what has brought down other implementations, as published advisories and bug reports tell it.
//!
//! Each row is a test here or, where a rule of an RFC has it, in that RFC's file. What an attacker gets is the status or the
//! code that the RFC names, really received in front of the end of the stream, which is no reset; memory that keeps to the
//! limit in force plus one read; work that grows linearly; every other connection goes on, and our caller's error says whose
//! fault it was. Memory and work are counted, never timed. Names without a file are in this crate; most of them are two tests,
//! `client::…` and `server::…`.
//!
//! | row | attack | tests |
//! |---|---|---|
//! | T1 | more header lines than are kept | `request_of_2000_lines_is_told_431_and_the_next_client_is_served`, `response_of_2000_lines_fails`, rfc6455_4_handshake: `refuses_more_headers_than_the_limit_repeated_ones_too` |
//! | T2 | a subprotocol with 16,000 spaces in it | `long_subprotocol_values_are_judged_in_linear_time`, `subprotocol_with_spaces_inside_is_told_400`, `lists_within_the_limits_cost_less_than_a_mebibyte` |
//! | T3 | extensions with open quotes and backslashes | `long_extension_values_are_judged_in_linear_time`, `extension_values_that_are_malformed_are_told_400`, `lists_within_the_limits_cost_less_than_a_mebibyte` |
//! | T4 | a head of 20 MB, and byte by byte | `endless_head_costs_no_more_than_the_limit`, `client_that_sends_a_head_without_end_is_told_431`, `client_gives_up_a_response_without_end`, rfc6455_4_handshake: `refuses_an_endless_head_at_the_limit_however_it_comes`, `takes_a_large_head_byte_by_byte` |
//! | T5 | one name many times | `request_of_2000_lines_is_told_431_and_the_next_client_is_served`, `response_of_2000_lines_fails`, `lines_are_judged_in_linear_time` |
//! | T6 | keys of any length | `keys_of_other_lengths_and_alphabets_are_told_400`, rfc6455_4_handshake: `refuses_keys_that_are_no_16_bytes` |
//! | T9 | drafts, whose lengths have no end | `drafts_are_told_426_and_their_frames_are_not_read`, `client_fails_on_the_answers_of_drafts`, rfc6455_4_handshake: `refuses_other_versions_and_drafts` |
//! | T29 | CR, LF and NUL in heads | `control_characters_in_a_request_are_told_400`, `control_characters_in_a_response_fail`, rfc6455_4_handshake: `application_cannot_break_the_response`, `application_cannot_break_the_request`, `header_values_cannot_hold_line_ends`, loopback_handshake: `client_sends_no_header_that_would_be_another_one`, `client_asks_for_no_wss_and_no_broken_url` |
//! | T30 | what is smuggled behind a refused upgrade | `nothing_behind_a_refused_upgrade_is_parsed`, `nothing_behind_a_request_that_the_application_rejects_is_parsed`, `upgrade_with_a_body_is_told_400`, `client_that_sends_for_ever_behind_a_refusal_is_read_no_further_than_a_bound`, `server_that_has_refused_many_serves_the_next`, rfc6455_4_handshake: `refuses_an_upgrade_with_a_body`, `refusals_say_why_and_close` |
#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used)] // the twins are tests too

#[path = "../common/mod.rs"]
mod common;
#[path = "../io/mod.rs"]
mod io;

mod handshake_heads;
mod network;

#[global_allocator]
static HEAP: common::heap::Counting = common::heap::Counting;
