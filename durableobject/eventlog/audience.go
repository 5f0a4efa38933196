package eventlog

import "slices"

// Includes reports whether the event is for the client r whose token has these
// tags. Replay and live delivery both ask it, so they cannot differ. Everything
// must hold: r is not excluded, is a target if there are targets, and has one of
// the tags if there are tags. It is oRPC's rule.
func (a *Audience) Includes(tags []string, r Recipient) bool {
	if slices.Contains(a.Excludes, r) {
		return false
	}
	if a.Targets != nil && !slices.Contains(a.Targets, r) {
		return false
	}
	return a.Tags == nil || slices.ContainsFunc(a.Tags, func(tag string) bool { return slices.Contains(tags, tag) })
}

// Everybody reports whether the event is for all clients.
func (a *Audience) Everybody() bool {
	return a.Tags == nil && a.Targets == nil && len(a.Excludes) == 0
}
