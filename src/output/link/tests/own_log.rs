//! The relay's own log at an output.

use super::*;

impl Scene {
    fn push_own(&mut self, message: &str) {
        let frames = Frames {
            bytes: message.as_bytes().to_vec(),
            ends: vec![message.len()],
        };
        self.link.push_own(self.now, &Rc::new(frames));
    }
}

#[test]
fn it_goes_along_in_order_and_no_source_waits_for_it() {
    let mut scene = scene("file:/x");
    scene.push(1);
    scene.push_own("own");
    scene.push(1);
    scene.connect();
    scene.flow();
    assert_eq!(scene.wire, b"0.0own1.0");
    assert_eq!(scene.delivered, [0, 1]);
    assert!(scene.link.is_idle());
}

#[test]
fn it_does_not_hold_up_the_end_at_an_output_that_is_down() {
    let mut scene = scene("tcp://192.0.2.1:601");
    scene.push_own("own");
    assert!(scene.link.is_idle());
    scene.connect();
    assert!(!scene.link.is_idle());
    scene.link.handle_failed(scene.now, "gone");
    assert!(scene.link.is_idle());
    scene.push(1);
    assert!(!scene.link.is_idle());
}

#[test]
fn it_takes_little_room_and_tells_once_what_is_missing() {
    let mut scene = scene("file:/x?required=no");
    let message = "m".repeat(1000);
    for _ in 0..100 {
        scene.push_own(&message);
    }
    assert_eq!(scene.link.backlog(), 65 * 1000);
    assert_eq!(scene.link.take_own_lost(), None);
    assert_eq!(scene.link.dropped(), 0);
    scene.connect();
    scene.flow();
    assert_eq!(scene.link.take_own_lost(), Some(35));
    assert_eq!(scene.link.take_own_lost(), None);
}

#[test]
fn a_receiver_that_refuses_it_by_relp_does_not_get_it_for_ever() {
    let mut scene = scene("relp://192.0.2.1:2514");
    scene.push_own("own");
    scene.push(1);
    scene.connect();
    scene.flow();
    scene.answer(|_| true);
    scene.flow();
    scene.answer(|message| message != "own");
    assert_eq!(scene.delivered, [0]);
    scene.tick();
    assert!(scene.link.is_idle());
    assert!(!scene.flow() && scene.wire.is_empty());
}
