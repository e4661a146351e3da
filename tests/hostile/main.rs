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
//! | T7 | lengths around 2⁶³, and sums that wrap | `refuses_lengths_around_every_power_of_two_whole_and_byte_by_byte`, `is_told_over_tcp_what_its_length_is`, `adds_no_lengths_up_that_could_wrap`, `hands_over_in_chunks_what_has_any_length`, rfc6455_5_frames: `refuses_a_fragment_whose_length_would_wrap_the_sum` |
//! | T8 | lengths of 64 bits, masked or not | `refuses_lengths_around_every_power_of_two_whole_and_byte_by_byte`, `is_told_over_tcp_what_its_length_is`, rfc6455_5_frames: `refuses_a_length_with_its_top_bit_set`, `refuses_the_largest_length_as_a_message_too_big` |
//! | T9 | drafts, whose lengths have no end | `drafts_are_told_426_and_their_frames_are_not_read`, `client_fails_on_the_answers_of_drafts`, rfc6455_4_handshake: `refuses_other_versions_and_drafts` |
//! | T10 | a refused frame that is read for ever | `ends_its_read_loop_at_every_refused_frame`, `is_told_over_tcp_of_every_refused_frame`, `refuses_lengths_around_every_power_of_two_whole_and_byte_by_byte` |
//! | T11 | an unknown opcode with a huge payload | `judges_an_unknown_opcode_before_its_payload`, rfc6455_5_frames: `refuses_an_unknown_opcode_with_a_huge_payload` |
//! | T12 | 4 GiB that are announced and do not come | `holds_little_for_a_thousand_peers_that_announce_4_gib`, `is_told_1009_over_tcp_before_a_byte_of_4_gib_has_come`, rfc6455_5_frames: `keeps_no_memory_for_what_a_header_announces`, counters: `message_of_a_gibibyte_costs_at_most_about_twice_what_arrives` |
//! | T13 | deflate bombs | `is_told_1009_over_tcp_while_its_bomb_is_coming`, `holds_one_chunk_of_a_gibibyte_at_a_time`, all of rfc7692_bombs |
//! | T14 | answers with windows that are none | `client_fails_the_handshake_on_parameters_that_are_none`, `client_takes_every_window_that_it_accepted`, rfc7692_7_1_negotiation: `client_fails_on_parameters_out_of_range_repeated_or_unknown` |
//! | T15 | offers with windows that are none | `server_declines_offers_that_are_none_and_serves_without`, rfc7692_7_1_negotiation: `server_declines_parameters_out_of_range_repeated_or_unknown`, `quoted_value_means_the_same` |
//! | T16 | RSV1 that nothing was agreed for | `is_told_over_tcp_of_every_refused_frame`, `server_declines_offers_that_are_none_and_serves_without`, rfc6455_5_frames: `refuses_rsv1_without_an_extension_before_the_payload` |
//! | T17 | RSV1 on continuations and control frames | `refuses_rsv1_over_tcp_where_it_means_nothing`, rfc7692_7_2_inflate: `refuses_rsv1_where_it_means_nothing` |
//! | T18 | output around the buffer's size, final and empty blocks | `inflates_around_every_length_of_a_buffer`, `inflates_streams_that_end_in_every_legal_way`, rfc7692_bombs: `takes_a_message_that_inflates_to_the_limit_and_no_byte_more`, rfc7692_7_2_inflate: `inflates_the_next_message_behind_a_final_block`, `inflates_empty_messages`, `refuses_what_does_not_inflate`; ignored: `message_that_ends_inside_a_block_fails` |
//! | T19 | fragments of one byte or none, without end | `holds_what_fragments_of_one_byte_carry_and_no_more`, `holds_what_fragments_of_one_byte_carry_in_segments_of_one_byte`, `holds_nothing_for_empty_fragments_however_many`, `is_told_over_tcp_what_its_fragments_come_to` |
//! | T20 | many continuations | `joins_fragments_in_linear_time`, per_message: `compressed_fragment_of_one_byte_costs_the_same_however_much_came_before` |
//! | T21 | a flood of Pongs | `holds_nothing_of_a_pong_flood`, rfc6455_5_5_control: `keeps_nothing_of_a_pong_flood` |
//! | T22 | a flood of Pings by a peer that does not read | `stops_reading_a_peer_that_floods_with_pings_and_takes_no_pong`, `answers_the_newest_of_a_ping_flood_over_tcp`, rfc6455_5_5_control: `bounds_the_pongs_of_a_ping_flood_and_answers_the_newest`, `answers_pings_even_if_the_output_is_never_taken_to_its_end` |
//! | T23 | Pings that are never answered | `holds_one_ping_of_a_peer_that_answers_none`, rfc6455_5_5_control: `keeps_one_ping_of_a_peer_that_answers_none` |
//! | T24 | memory that was never written to | `sends_no_byte_that_it_was_not_given` |
//! | T25 | secrets that are guessed by time | admission: `only_those_who_know_the_secret_come_in`, per_message: `guess_of_a_secret_costs_the_same_wherever_it_is_wrong` |
//! | T26 | certificates of others | tls: `client_says_which_certificate_it_does_not_accept_and_why`, `client_knows_its_server_by_an_address_too` |
//! | T27 | masking keys that can be foreseen | `client_masks_each_frame_with_a_key_that_looks_random`, `no_two_clients_share_their_keys`, `client_asks_with_a_new_nonce_each_time`, rfc6455_5_frames: `client_takes_a_new_key_for_each_frame` |
//! | T28 | the wrong masking | `is_told_over_tcp_of_every_refused_frame`, rfc6455_5_frames: `refuses_the_wrong_masking` |
//! | T29 | CR, LF and NUL in heads | `control_characters_in_a_request_are_told_400`, `control_characters_in_a_response_fail`, rfc6455_4_handshake: `application_cannot_break_the_response`, `application_cannot_break_the_request`, `header_values_cannot_hold_line_ends`, loopback_handshake: `client_sends_no_header_that_would_be_another_one`, `client_asks_for_no_wss_and_no_broken_url` |
//! | T30 | what is smuggled behind a refused upgrade | `nothing_behind_a_refused_upgrade_is_parsed`, `nothing_behind_a_request_that_the_application_rejects_is_parsed`, `upgrade_with_a_body_is_told_400`, `client_that_sends_for_ever_behind_a_refusal_is_read_no_further_than_a_bound`, `server_that_has_refused_many_serves_the_next`, rfc6455_4_handshake: `refuses_an_upgrade_with_a_body`, `refusals_say_why_and_close`, hyper: `requests_that_are_none_are_told_what_is_wrong_and_the_connection_ends` |
//! | T31 | pages of other hosts | admission: `server_refuses_pages_of_other_hosts_by_default`, `same_host_is_the_host_and_port_that_was_asked_for`, hyper: the same, http2: `tells_pages_of_other_hosts_403_and_opens_nothing` |
//! | T32 | requests that dribble, and silence | admission: `clients_that_say_nothing_or_dribble_are_answered_408_by_one_deadline`, stream_limits: `silent_peer_is_told_that_it_is_and_so_are_we`, `keepalive_asks_within_two_intervals_and_is_content_with_any_answer` |
//! | T33 | peers that neither read nor leave | `gives_up_over_tcp_a_peer_that_neither_answers_nor_ends`, `gives_up_over_tcp_a_peer_that_takes_nothing`, `gives_up_over_tcp_a_peer_that_floods_behind_its_fault`, `server_gives_the_place_of_a_peer_that_stays_to_the_next`, stream_end: `close_gives_up_a_peer_that_talks_on_instead_of_answering`, loopback: `peer_that_closes_its_half_has_its_reply_and_is_lost` |
//! | T34 | closing in the middle of everything | `handler_that_closes_at_once_loses_nothing_that_it_queued`, `both_ends_that_close_behind_the_handshake_end_cleanly`, `close_behind_a_full_queue_goes_last`, `close_that_tells_of_a_fault_goes_behind_all_that_was_queued`, loopback_serve: all that begin with `handler_that` and `shutdown` |
//! | T35 | what connections leave behind | `eighty_thousand_connections_with_deflate_leave_nothing_on_the_heap`, `twenty_thousand_streams_with_deflate_leave_nothing_on_the_heap`, `connections_with_states_of_300_kb_leave_nothing_on_the_heap`, `some_hundred_connections_aborted_over_tcp_leave_nothing_on_the_heap`, `lets_go_of_messages_that_were_written`, `connections_cut_off_inside_a_message_are_lost_to_the_handler_and_to_nobody_else` |
//! | T36 | a window that is out of step | rfc7692_7_2_deflate: `stays_in_step_with_zlib_over_mixed_messages` (10⁵ in both roles), `stays_in_step_over_what_does_not_shrink_with_context_takeover` |
//! | T37 | compressing on several threads | `compresses_for_senders_on_several_threads`, `message_to_many_clients_is_the_same_for_all_from_any_thread`, split: `senders_in_many_tasks_share_one_deflater` |
//! | T38 | a deflate tail beyond its buffer | `ends_a_stream_without_touching_what_is_behind_it`, rfc7692_7_2_deflate: `sends_messages_of_every_length` |
//! | T39 | Socket.IO's attachments | socketio_packets: `numbers_of_attachments_are_checked`, `illegal_placeholders_are_refused_and_those_of_no_attachment_are_objects`, `what_comes_out_of_order_is_refused`, `what_is_no_event_is_refused`; engineio: `octet_stream_is_refused_and_ends_the_session` |
//! | T40 | Engine.IO's bodies | engineio: `body_over_the_limit_gets_413_and_the_session_goes_on`, `body_over_the_limit_in_chunks_gets_413_as_well`, `post_waits_for_room_and_not_for_ever`, `session_that_fetches_too_little_is_ended` |
//! | T41 | control characters in what the tool prints | cli: `control_characters_of_a_server_do_not_reach_the_standard_error`, `lines_come_in_above_the_line_that_is_typed`, `events_are_lines_of_json_whatever_is_in_them`, `refusal_is_3_and_shows_status_and_body`, `echo_is_the_default_and_connections_are_logged`, and the tests of the tool's `output::escape` |
//! | T42 | redirects | `client_follows_no_redirect`, `client_does_not_fall_back_to_plain_text` |
//! | T43 | two frames cut at every byte | `reads_two_frames_cut_at_every_byte`, `two_large_frames_are_read_in_steps_of_every_kind`, all of rfc6455_5_4_splits |
//! | T44 | codes of a Close | `surfaces_every_code_of_a_close`, `refuses_every_other_code_of_a_close`, rfc6455_7_close: `accepts_codes_that_may_stand_on_the_wire` |
//! | T45 | all of it over TLS and Unix sockets | `is_told_over_tls_and_unix_of_every_fault` and the rest of `transports` |
//!
//! T39 and T40 are about Socket.IO, and need the feature `socketio`.
#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used)] // the twins are tests too

#[path = "../common/mod.rs"]
mod common;
#[path = "../io/mod.rs"]
mod io;

mod closing;
mod control;
#[cfg(feature = "deflate")]
mod deflate;
mod fragments;
mod handshake_heads;
mod lengths;
mod masking;
mod network;
mod redirects;
#[cfg(all(feature = "deflate", unix))]
mod transports;

#[global_allocator]
static HEAP: common::heap::Counting = common::heap::Counting;
