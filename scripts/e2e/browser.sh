#!/usr/bin/env bash
# The page in a real browser, and a real browser's seeks: headless Chromium, driven by Selenium through chromedriver.
#
#   scripts/e2e/browser.sh             the page of serve and of demo: plays, scrubs, draws, hints, turns; a minute
#   scripts/e2e/browser.sh --full      and Chromium's own far seeks over a real-TCP link, alone and through serve; as root
#   scripts/e2e/browser.sh --picture   makes docs/page.webp anew; as root
#
# Screenshots, logs and figures are left in target/e2e/. Needs chromium, chromedriver, Selenium for Python, ffmpeg and nginx; as
# root they are installed from the distribution's packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

case ${1:-} in
    "" | --full | --picture) ;;
    *) sed -n '2,9p' "$0"; exit 2 ;;
esac

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# The distribution's Python: another one that stands before it in the path knows nothing of the distribution's packages.
python=/usr/bin/python3
export PYTHONDONTWRITEBYTECODE=1

require_tools() {
    local missing=
    command -v chromium >/dev/null || missing="$missing chromium fonts-liberation"
    command -v chromedriver >/dev/null || missing="$missing chromium-driver"
    "$python" -c 'import selenium' 2>/dev/null || missing="$missing python3-selenium"
    for tool in ffmpeg nginx; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
    if [ -n "${1:-}" ]; then command -v ip >/dev/null || missing="$missing iproute2"; fi
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        # Elsewhere on the machine something may be installing as well.
        # shellcheck disable=SC2086 # a list of words on purpose
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 $missing
    elif [ -n "${CI:-}" ]; then
        fail "not installed:$missing; the page must be tried in a browser here: install them or run as root on a Debian system"
    else
        echo "SKIPPED: not installed:$missing (install them, or run as root on a Debian system)"
        exit 0
    fi
}

require_tools "$@"
cargo build --quiet --features cli --bins
target=${CARGO_TARGET_DIR:-target}
out=$target/e2e/browser

case ${1:-} in
    --picture) "$python" scripts/e2e/browser_picture.py "$target/debug/kithara-file" docs/page.webp ;;
    *) "$python" scripts/e2e/browser_page.py "$target/debug/kithara-file" "$out" ;;
esac
if [ "${1:-}" = --full ]; then
    cargo build --quiet --release --features cli --bins
    "$python" scripts/e2e/browser_seeks.py "$target/release/kithara-file" "$out"
fi
