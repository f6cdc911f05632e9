//! From a version to an image that may be run: the tag is resolved to a digest, and somebody who is trusted has signed that digest.

pub mod challenge;
pub mod credentials;
pub mod key;
mod manifest;
pub mod reference;
pub mod registry;
pub mod signature;

use std::collections::BTreeSet;
use std::fmt;

use crate::error::{Class, Error};
use crate::kube::image::key::Key;
use crate::kube::image::reference::{Digest, Repository};
use crate::kube::image::registry::Registries;
use crate::kube::outside::Deadline;
use crate::rules::release::Release;

/// Whose word on an image is taken.
#[derive(Debug)]
pub enum Trust {
    /// Who has this key has to have signed it.
    SignedBy(Key),
    /// Whoever answers for the registry: the tag is resolved to a digest, which nobody has to have signed.
    Registry,
    /// Whoever answers when the kubelet pulls it.
    Nobody,
}

/// An image: a version of a repository, pinned to a digest where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    repository: Repository,
    tag: String,
    digest: Option<Digest>,
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// The digests that were found to be signed by the trusted key.
#[derive(Debug, Default)]
pub struct Verified(BTreeSet<Digest>);

impl Verified {
    /// This one, too.
    pub fn remember(&mut self, digest: Digest) {
        self.0.insert(digest);
    }
}

/// Why there is no image that may be run.
#[derive(Debug)]
pub enum Refusal {
    /// The image: there is none, it is something else, or nobody trusted has signed it. The sentence is the same as long as it stays so.
    OfImage(Error),
    /// It could not be found out.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The image of a version that may be run.
///
/// # Errors
/// Why there is none.
pub fn image(
    registries: &mut Registries<'_>,
    repository: &Repository,
    release: &Release,
    trust: &Trust,
    verified: &mut Verified,
    deadline: Deadline,
) -> Result<Image, Refusal> {
    // `+` cannot stand in a tag.
    let tag = release.to_string().replace('+', "_");
    let image = |digest| Image { repository: repository.clone(), tag: tag.clone(), digest };
    let key = match trust {
        Trust::Nobody => return Ok(image(None)),
        Trust::Registry => None,
        Trust::SignedBy(key) => Some(key),
    };
    let manifest = registries.manifest(repository, &tag, deadline)?.ok_or_else(|| {
        let next = "is it mirrored already? Then it will be found; else mirror it, or look at --base-image";
        Refusal::OfImage(Error::new(Class::Server, format!("there is no image {repository}:{tag}"), next))
    })?;
    let digest = Digest::of(&manifest);
    if let Some(key) = key.filter(|_| !verified.0.contains(&digest)) {
        verify(registries, repository, &digest, key, deadline)?;
        verified.remember(digest.clone());
    }
    Ok(image(Some(digest)))
}

/// One signature that vouches for the digest is enough.
fn verify(
    registries: &mut Registries<'_>,
    repository: &Repository,
    digest: &Digest,
    key: &Key,
    deadline: Deadline,
) -> Result<(), Refusal> {
    let unsigned = |why: String| {
        let next =
            "mirror the signatures with the image (cosign copy), or sign it yourself and name your key with --verification-key";
        Refusal::OfImage(Error::new(Class::Config, format!("{repository}@{digest} is not signed as it has to be: {why}"), next))
    };
    let tag = signature::tag(digest);
    let manifest = registries.manifest(repository, &tag, deadline)?;
    let manifest = manifest.ok_or_else(|| unsigned(format!("there is no {tag} beside it")))?;
    let signatures = signature::signatures(&manifest).map_err(|why| unsigned(format!("{tag} {why}")))?;
    let mut reasons = Vec::new();
    for signature in &signatures {
        match registries.blob(repository, &signature.payload, signature::LARGEST, deadline) {
            Ok(payload) => match signature.vouches(&payload, digest, key) {
                Ok(()) => return Ok(()),
                Err(why) => reasons.push(why),
            },
            // One that the mirror lacks does not spoil the others.
            Err(error) if error.class == Class::Server => reasons.push(error.what),
            Err(error) => return Err(error.into()),
        }
    }
    Err(unsigned(if reasons.is_empty() { format!("{tag} has no signature") } else { reasons.join("; ") }))
}
