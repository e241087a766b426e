//! Device keys: signing runs and verifying them.

use crate::{DeviceKey, EventId, hash};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::fmt;

/// A device's secret key. Its bytes are erased from memory when it is dropped.
pub struct SecretKey(SigningKey);

/// 64 bytes over a run's last event id.
pub type RunSignature = [u8; 64];

impl SecretKey {
    /// From 32 secret bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// The 32 secret bytes, for the key file.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn device(&self) -> DeviceKey {
        DeviceKey(self.0.verifying_key().to_bytes())
    }

    /// Signs the run that ends with `last`.
    pub fn sign_run(&self, last: EventId) -> RunSignature {
        self.0.sign(&signed_bytes(last)).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {:?}", self.device())
    }
}

impl DeviceKey {
    /// Whether this device signed the run that ends with `last`. Strict: one answer on every machine.
    pub fn has_signed_run(&self, last: EventId, signature: &RunSignature) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(&signed_bytes(last), &Signature::from_bytes(signature)))
            .is_ok()
    }
}

fn signed_bytes(last: EventId) -> [u8; 32] {
    hash::derive("tandem 1 run", &[&last.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signer_over_the_same_id_verifies() {
        let (a, b) = (SecretKey::from_bytes(&[1; 32]), SecretKey::from_bytes(&[2; 32]));
        let signature = a.sign_run(EventId([7; 32]));
        assert!(a.device().has_signed_run(EventId([7; 32]), &signature));
        assert!(!a.device().has_signed_run(EventId([8; 32]), &signature));
        assert!(!b.device().has_signed_run(EventId([7; 32]), &signature));
    }

    #[test]
    fn keys_that_verify_anything_are_refused() {
        // The identity point: under lax verification it signs every message.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!DeviceKey(identity).has_signed_run(EventId([7; 32]), &signature));
    }
}
