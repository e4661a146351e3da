//! Seeds of Engine.IO and Socket.IO: the examples of their protocols, and what node's decoder refuses.

use super::Seeds;

pub fn add(seeds: &mut Seeds) {
    let bodies = [
        "4hello",
        "1",
        "2probe",
        "3",
        "4a\u{1e}bAQIDBA==\u{1e}6",
        "5\u{1e}z\u{1e}4",
        "",
        "0{\"sid\":\"x\"}",
        "4€",
        "b?",
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        seeds.add("engineio", &format!("{number:02}"), body);
    }
    let texts = [
        "0",
        "0/admin,{\"token\":\"t\"}",
        "1/admin,",
        "2[\"a\",1,{\"b\":[true,null,-1.5e3]}]",
        "2/a,7[\"b\"]",
        "2[1,\"x\"]",
        "3456[1,\"2\",{\"3\":[false]}]",
        "4{\"message\":\"no\",\"data\":{}}",
        "2[\"a\\u0062\" , 1 ]",
        "2[\"connect\"]",
        "21e2[\"a\"]",
        "511-[\"a\"]",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        seeds.add("socketio", &format!("{number:02}"), text);
    }
    let placeholder = |num| format!("{{\"_placeholder\":true,\"num\":{num}}}");
    let event = format!("52-/a,7[\"e\",{},[{}]]", placeholder(1), placeholder(0));
    seeds.add("socketio", "event-binary", [event.as_bytes(), b"\xff\xfeone\xff\xfetwo\xff2[\"next\"]"].concat());
    let ack = format!("61-1[{{\"x\":{}}}]", placeholder(0));
    seeds.add("socketio", "ack-binary", [ack.as_bytes(), b"\xff\xfe\x00\x01"].concat());
    seeds.add("socketio", "illegal", format!("51-[\"a\",{}]", placeholder(1)));
}
