//! Helpers of the tests: an RNG that counts, and messages.

use portolan_machine::Entropy;
use portolan_stun::{Attribute, Class, Method, TransactionId, Writer};

/// An RNG that counts: the first transaction id is 01 01 01…
#[derive(Clone, Debug, Default)]
pub(crate) struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        out.fill(self.0);
    }
}

/// A Binding message with these attributes.
pub(crate) fn message(class: Class, id: TransactionId, attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let mut writer = Writer::new(&mut buffer, class, Method::BINDING, id).unwrap();
    for attribute in attributes {
        writer.add(attribute).unwrap();
    }
    writer.finish().to_vec()
}
