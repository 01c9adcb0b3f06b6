//! [`Player`]: playbin, with a [`Feed`] for what comes over HTTP.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;
use kithara_file::Engine;

use crate::Feed;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Stopped {
    /// What was asked for is done: it stands where it shall, and shows what is there.
    Settled,
    /// Everything was played.
    End,
}

/// One medium in a `playbin`.
pub struct Player {
    playbin: gst::Element,
    /// There once playbin has made its source.
    feed: Arc<Mutex<Option<Feed>>>,
}

impl Player {
    /// Plays `uri` with these sinks, each as for `gst-launch-1.0`. HTTP goes through `engine`, anything else as GStreamer does it.
    pub fn new(engine: &Engine, uri: &str, audio: &str, video: &str) -> Result<Self, Failure> {
        gst::init()?;
        let playbin = gst::ElementFactory::make("playbin").build()?;
        playbin.set_property(
            "audio-sink",
            gst::parse::bin_from_description_with_name(audio, true, "audio")?,
        );
        playbin.set_property(
            "video-sink",
            gst::parse::bin_from_description_with_name(video, true, "video")?,
        );
        let feed = Arc::new(Mutex::new(None));
        if uri.starts_with("http") {
            // Opened here, where it may block and where its errors can be told.
            let reader = Mutex::new(Some(engine.open_blocking(uri)?.into_reader()));
            let slot = feed.clone();
            playbin.set_property("uri", "appsrc://");
            playbin.connect("source-setup", false, move |values| {
                let source = values[1].get::<AppSrc>().expect("appsrc:// makes an appsrc");
                if let Some(reader) = reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    let feed = Feed::attach(&source, reader);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(feed);
                }
                None
            });
        } else {
            playbin.set_property("uri", uri);
        }
        Ok(Self { playbin, feed })
    }

    /// Plays on.
    pub fn play(&self) -> Result<(), Failure> {
        self.playbin.set_state(gst::State::Playing)?;
        Ok(())
    }

    /// Gets ready at the beginning, or stops where it is.
    pub fn pause(&self) -> Result<(), Failure> {
        self.playbin.set_state(gst::State::Paused)?;
        Ok(())
    }

    /// Goes to that moment, to the sample and the frame.
    pub fn seek(&self, to: gst::ClockTime) -> Result<(), Failure> {
        self.playbin.seek_simple(gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE, to)?;
        Ok(())
    }

    /// Where it is.
    pub fn position(&self) -> Option<gst::ClockTime> {
        self.playbin.query_position()
    }

    /// How long the medium is, if that can be told.
    pub fn duration(&self) -> Option<gst::ClockTime> {
        self.playbin.query_duration()
    }

    /// What stands at the sink of that name, "audio" or "video": time and bytes of its last buffer.
    pub fn shown(&self, name: &str) -> Option<(gst::ClockTime, Vec<u8>)> {
        let bin = self.playbin.property::<Option<gst::Element>>(&format!("{name}-sink"))?;
        let sink = bin.downcast::<gst::Bin>().ok()?.iterate_sinks().next().ok()??;
        let sample = sink.property::<Option<gst::Sample>>("last-sample")?;
        let buffer = sample.buffer()?;
        Some((buffer.pts()?, buffer.map_readable().ok()?.to_vec()))
    }

    /// Waits until it has settled, or has come to the end.
    pub fn wait(&self) -> Result<Stopped, Failure> {
        let bus = self.playbin.bus().ok_or("no bus")?;
        for message in bus.iter_timed(gst::ClockTime::NONE) {
            match message.view() {
                gst::MessageView::AsyncDone(_) => return Ok(Stopped::Settled),
                gst::MessageView::Eos(_) => return Ok(Stopped::End),
                gst::MessageView::Error(error) => return Err(error.error().into()),
                _ => {}
            }
        }
        Err("the bus has gone".into())
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Never waits for a byte: the pull that is blocked is flushed away.
        let _ = self.playbin.set_state(gst::State::Null);
        self.feed.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
