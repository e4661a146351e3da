//! Without the feature `deflate` nothing is agreed to, so there is never a codec.

use super::{DeflateAgreed, DeflateClass, DeflateConfig, Inflated};
use crate::proto::frame::ProtocolError;

pub(crate) enum Inflater {}

impl Inflater {
    pub(crate) fn retained(&self) -> usize {
        match *self {}
    }

    pub(crate) fn inflate(
        &mut self,
        _input: &[u8],
        _out: &mut Vec<u8>,
        _limit: usize,
    ) -> Result<(usize, Inflated), ProtocolError> {
        match *self {}
    }

    pub(crate) fn finish(&mut self, _out: &mut Vec<u8>, _limit: usize) -> Result<Inflated, ProtocolError> {
        match *self {}
    }
}

pub(crate) enum Deflater {}

impl Deflater {
    pub(crate) fn retained(&self) -> usize {
        match *self {}
    }

    pub(crate) fn threshold(&self) -> usize {
        match *self {}
    }

    pub(crate) fn may_discard(&self) -> bool {
        match *self {}
    }

    pub(crate) fn class(&self) -> DeflateClass {
        match *self {}
    }

    pub(crate) fn forget(&mut self) {
        match *self {}
    }

    pub(crate) fn deflate_alone(&self, _input: &[u8]) -> Vec<u8> {
        match *self {}
    }

    pub(crate) fn deflate(&mut self, _input: &[u8], _fin: bool) -> Vec<u8> {
        match *self {}
    }
}

pub(crate) fn codecs(
    _config: &DeflateConfig,
    _agreed: DeflateAgreed,
    _is_client: bool,
) -> Option<(Inflater, Deflater)> {
    None
}
