//! Random ids for messages and operations (UUID version 4).

use rand::Rng;
use uuid::Uuid;

pub(super) fn new_uuid(random: &mut impl Rng) -> Uuid {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
