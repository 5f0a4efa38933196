package chromium

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

const (
	// patience is how long a test waits for an expression on a busy machine.
	patience = time.Minute
	// callTimeout is how long the browser may take to answer.
	callTimeout = 90 * time.Second
	// pollInterval is how often a page is asked whether an expression is true.
	pollInterval = 25 * time.Millisecond
)

// Page is a tab of a browser. Its methods fail the test instead of returning errors.
type Page struct {
	t       *testing.T
	browser *Browser
	profile string // the browser context that it is in
	target  string
	session string
}

// Open opens a page in its own window and with its own storage. Both are closed when the
// test ends.
func (b *Browser) Open(t *testing.T, url string) *Page {
	t.Helper()
	var profile struct{ BrowserContextID string }
	b.must(t, "", "Target.createBrowserContext", object{}, &profile)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		_, _ = b.call(ctx, "", "Target.disposeBrowserContext", object{"browserContextId": profile.BrowserContextID})
	})
	return b.open(t, profile.BrowserContextID, url, true)
}

// OpenTab opens another page in the window of p, with the same storage. It hides p.
func (p *Page) OpenTab(url string) *Page {
	p.t.Helper()
	return p.browser.open(p.t, p.profile, url, false)
}

func (b *Browser) open(t *testing.T, profile, url string, window bool) *Page {
	t.Helper()
	var target struct{ TargetID string }
	params := object{"url": "about:blank", "browserContextId": profile, "newWindow": window}
	b.must(t, "", "Target.createTarget", params, &target)
	var session struct{ SessionID string }
	b.must(t, "", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &session)
	p := &Page{t: t, browser: b, profile: profile, target: target.TargetID, session: session.SessionID}
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		p.Do(domain+".enable", nil)
	}
	p.Navigate(url)
	return p
}

// Navigate loads another address.
func (p *Page) Navigate(url string) {
	p.t.Helper()
	p.Do("Page.navigate", object{"url": url})
}

// Show makes p the visible page of its window.
func (p *Page) Show() {
	p.t.Helper()
	p.browser.must(p.t, "", "Target.activateTarget", object{"targetId": p.target}, nil)
}

// Close closes the page as a user would.
func (p *Page) Close() {
	p.t.Helper()
	p.browser.must(p.t, "", "Target.closeTarget", object{"targetId": p.target}, nil)
}

// Do calls a method of the DevTools protocol.
func (p *Page) Do(method string, params map[string]any) {
	p.t.Helper()
	p.browser.must(p.t, p.session, method, params, nil)
}

// On calls f with the parameters of each event of the DevTools protocol with this name.
// f must not call methods of the page.
func (p *Page) On(event string, f func(params []byte)) { p.browser.listen(p.session, event, f) }

// Run runs an expression and waits for its promise.
func (p *Page) Run(expression string) {
	p.t.Helper()
	if err := p.eval(expression, nil); err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
}

// Eval returns the value of an expression. If it is a promise, Eval waits for it and
// returns its result.
func Eval[T any](p *Page, expression string) (value T) {
	p.t.Helper()
	if err := p.eval(expression, &value); err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// Until waits until an expression is true, and returns how long that took.
func (p *Page) Until(expression string) time.Duration {
	p.t.Helper()
	start := time.Now()
	for tick := time.NewTicker(pollInterval); ; <-tick.C {
		var is bool
		err := p.eval("!!("+expression+")", &is)
		if err == nil && is {
			return time.Since(start)
		}
		if time.Since(start) > patience || errors.Is(err, errGone) {
			var text string
			_ = p.eval("document.body.innerText.slice(-1500)", &text)
			p.t.Fatalf("not true within %v: %s (%v)\nthe page shows:\n%s", patience, expression, err, text)
		}
	}
}

// Screenshot returns a picture of the page, as a PNG.
func (p *Page) Screenshot() []byte {
	p.t.Helper()
	var image struct{ Data []byte }
	p.browser.must(p.t, p.session, "Page.captureScreenshot", object{"format": "png"}, &image)
	return image.Data
}

func (p *Page) eval(expression string, value any) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), callTimeout)
	defer cancel()
	answered, err := p.browser.call(ctx, p.session, "Runtime.evaluate", object{
		"expression": expression, "awaitPromise": true, "returnByValue": true,
	})
	if err != nil {
		return err
	}
	var r struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	if err := json.Unmarshal(answered, &r); err != nil {
		return err
	}
	if r.ExceptionDetails != nil {
		return fmt.Errorf("%s %s", r.ExceptionDetails.Text, r.ExceptionDetails.Exception.Description)
	}
	if value == nil || len(r.Result.Value) == 0 {
		return nil
	}
	return json.Unmarshal(r.Result.Value, value)
}

// must calls a method, and fails the test if that returns an error.
func (b *Browser) must(t *testing.T, session, method string, params map[string]any, result any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	answered, err := b.call(ctx, session, method, params)
	if err == nil && result != nil {
		err = json.Unmarshal(answered, result)
	}
	if err != nil {
		t.Fatal(err)
	}
}
