//! Origins that are object stores: S3 and what speaks like it, Google's, Azure's, and any store that the
//! application has built, by way of the `object_store` crate.
//!
//! A store's answer is told as the HTTP answer that it stands for, so that there is one judge for all
//! (`classify`). `If-Match` goes out with each range; that the answer is of the version known is checked again
//! on arrival, as not every store heeds it.
//!
//! Requests of stores that are named by URL go over the lanes' HTTP clients, and are tried once: trying again is
//! the scheduler's. Redirects, providers of URLs and headers of the user are HTTP's, and have no meaning here.
//!
//! Not here: time limits (`timeout`), trying again (`retry`, and `sched` for ranges).

mod answer;
mod fault;
mod place;
mod stores;
mod told;

use futures::future::BoxFuture;
use object_store::ObjectStore;

use super::http::HttpNet;
use super::target::Target;
use super::{Answer, Fault, HeadAnswer, Net, RangeRequest, Spare, redact};
use crate::error::{NetworkErrorKind, Stage};
use crate::ids::Lane;
use crate::sync::Arc;

pub(crate) use place::ObjectPlace;
use stores::Stores;
use told::Told;

/// HTTP, and object stores beside it.
#[derive(Debug)]
pub(crate) struct Objects {
    http: HttpNet,
    stores: Stores,
}

/// One request to a store.
struct Asking<'a> {
    store: Arc<dyn ObjectStore>,
    place: &'a ObjectPlace,
    target: &'a Target,
    /// For errors; redacted.
    shown: String,
    /// What came over HTTP, if that is what the store speaks.
    told: Told,
    refuse_html: bool,
}

impl Objects {
    /// Puts object stores beside `http`, whose lanes they use.
    pub(crate) fn new(http: HttpNet) -> Self {
        Self { http, stores: Stores::default() }
    }

    /// Asks and judges; see [`Net::get_range`].
    async fn get(
        &self,
        lane: Lane,
        target: &Target,
        place: &ObjectPlace,
        request: &RangeRequest,
    ) -> Result<Answer, Fault> {
        let asking = self.asking(lane, target, place)?;
        let options = answer::options(request, &asking.told);
        let found = match asking.store.get_opts(&place.path, options).await {
            Ok(found) => found,
            Err(error) => return Err(asking.explain(error, request).await),
        };
        let connection = self.http.lanes().lane(lane).connection_of(&found.extensions);
        asking.accept(found, request, connection)
    }

    /// Asks for what is known about the object; see [`Net::head`].
    async fn ask_head(
        &self,
        lane: Lane,
        target: &Target,
        place: &ObjectPlace,
    ) -> Result<HeadAnswer, Fault> {
        let asking = self.asking(lane, target, place)?;
        match asking.store.get_opts(&place.path, answer::head_options(&asking.told)).await {
            Ok(found) => Ok(HeadAnswer {
                total: Some(found.meta.size),
                accepts_ranges: true,
                validator: answer::validator(&found.meta),
                content_type: answer::content_type(&found.attributes),
                final_url: target.original().clone(),
            }),
            Err(error) => Err(fault::of(&error, &asking.told, &asking.shown).fault),
        }
    }

    fn asking<'a>(
        &self,
        lane: Lane,
        target: &'a Target,
        place: &'a ObjectPlace,
    ) -> Result<Asking<'a>, Fault> {
        let url = target.original();
        let shown = redact::url(url);
        let store = match &place.store {
            Some(store) => Ok(store.clone()),
            None => self.stores.of(url, lane, || self.http.lanes().lane(lane).client().clone()),
        };
        let store = store.map_err(|error| {
            let kind = NetworkErrorKind::Client(fault::innermost(&error));
            Fault::at(&shown, Stage::Prepare, kind)
        })?;
        let refuse_html = self.http.refuses_html();
        Ok(Asking { store, place, target, shown, told: Told::default(), refuse_html })
    }
}

impl Asking<'_> {
    /// Why the store has failed. Which of their errors says that a range begins past the end cannot be told, so
    /// the length is asked for where that may be it.
    async fn explain(&self, error: object_store::Error, request: &RangeRequest) -> Fault {
        let failed = fault::of(&error, &self.told, &self.shown);
        let (Some(range), true) = (request.range, failed.may_be_past_end) else {
            return failed.fault;
        };
        let told = Told::default();
        match self.store.get_opts(&self.place.path, answer::head_options(&told)).await {
            Ok(found) if found.meta.size <= range.start => self.past_end(&found, request),
            Ok(_) => failed.fault,
            Err(error) => {
                let other = fault::of(&error, &told, &self.shown);
                if other.may_be_past_end { failed.fault } else { other.fault }
            }
        }
    }
}

impl Net for Objects {
    fn get_range(
        &self,
        lane: Lane,
        target: Arc<Target>,
        request: RangeRequest,
    ) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(async move {
            match target.object() {
                Some(place) => self.get(lane, &target, place, &request).await,
                None => self.http.get_range(lane, target.clone(), request).await,
            }
        })
    }

    /// Where a store's requests go is not known here.
    fn preconnect(&self, target: Arc<Target>) -> BoxFuture<'_, Option<Spare>> {
        match target.object() {
            Some(_) => Box::pin(std::future::ready(None)),
            None => self.http.preconnect(target),
        }
    }

    fn head(&self, lane: Lane, target: Arc<Target>) -> BoxFuture<'_, Result<HeadAnswer, Fault>> {
        Box::pin(async move {
            match target.object() {
                Some(place) => self.ask_head(lane, &target, place).await,
                None => self.http.head(lane, target.clone()).await,
            }
        })
    }
}

#[cfg(test)]
mod tests;
