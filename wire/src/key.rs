//! Device keys: signing runs and verifying them.

use crate::{DeviceKey, EventId, OpRef, WorkspaceId, hash};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use std::fmt;

/// A device's secret key. Its bytes are erased from memory when it is dropped.
pub struct SecretKey(SigningKey);

/// An Ed25519 signature, 64 bytes.
pub type Signature = [u8; 64];

impl SecretKey {
    /// From 32 secret bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// The key that an invitation's secret stands for: its public half is in the log, and whoever has the secret signs
    /// with it.
    pub fn of_invitation(secret: &[u8; 16]) -> Self {
        Self::from_bytes(&hash::derive("tandem 1 invitation", &[secret]))
    }

    /// The 32 secret bytes, for the key file.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn device(&self) -> DeviceKey {
        DeviceKey(self.0.verifying_key().to_bytes())
    }

    /// As the invited's key: signs that `device` joins by `invite`.
    pub fn sign_join(&self, workspace: WorkspaceId, invite: &OpRef, device: DeviceKey) -> Signature {
        self.0.sign(&join_bytes(workspace, invite, device)).to_bytes()
    }

    /// Signs the run that ends with `last`.
    pub fn sign_run(&self, last: EventId) -> Signature {
        self.0.sign(&signed_bytes(last)).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {:?}", self.device())
    }
}

impl DeviceKey {
    /// Whether the holder of this invitation key let `device` join by `invite`. Strict, as above.
    pub fn has_signed_join(
        &self,
        workspace: WorkspaceId,
        invite: &OpRef,
        device: DeviceKey,
        proof: &Signature,
    ) -> bool {
        self.has_signed(&join_bytes(workspace, invite, device), proof)
    }

    /// Whether this device signed the run that ends with `last`. Strict: one answer on every machine.
    pub fn has_signed_run(&self, last: EventId, signature: &Signature) -> bool {
        self.has_signed(&signed_bytes(last), signature)
    }

    fn has_signed(&self, message: &[u8], signature: &Signature) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)))
            .is_ok()
    }
}

fn join_bytes(workspace: WorkspaceId, invite: &OpRef, device: DeviceKey) -> [u8; 32] {
    let number = invite.chain.number.to_le_bytes();
    let (seq, op) = (invite.seq.to_le_bytes(), invite.op.to_le_bytes());
    let parts: [&[u8]; 7] = [&workspace.0, &device.0, &invite.chain.device.0, &number, &seq, &op, &invite.tag.0];
    hash::derive("tandem 1 join", &parts)
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
