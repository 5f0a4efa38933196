//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// table holds the pairs of each scenario, in the order in which they were added first.
type table struct {
	names []string
	pairs map[string][]pair
}

func (t *table) add(name string, p pair) {
	if t.pairs == nil {
		t.pairs = map[string][]pair{}
	}
	if t.pairs[name] == nil {
		t.names = append(t.names, name)
	}
	t.pairs[name] = append(t.pairs[name], p)
}

// columns are the figures that are compared. A figure of 0 was not measured.
var columns = []struct {
	name   string
	amount func(f figures) float64
}{
	{"deliveries/s", func(f figures) float64 { return per(float64(f.deliveries), f.wall.Seconds()) }},
	{"CPU per delivery", func(f figures) float64 { return per(f.cpu.Seconds(), float64(f.deliveries)) }},
	{"publish call", func(f figures) float64 { return per(f.publishing.Seconds(), float64(f.published)) }},
	{"memory per socket", func(f figures) float64 { return f.idle }},
}

func per(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// String returns the ratios as a table in Markdown: the median of the rounds and their range.
func (t *table) String() string {
	var b strings.Builder
	b.WriteString("| this library / centrifuge |")
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(columns)) + "\n")
	for _, name := range t.names {
		fmt.Fprintf(&b, "| %s |", name)
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", t.cell(name, c.amount))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (t *table) cell(name string, amount func(figures) float64) string {
	var ratios []float64
	for _, p := range t.pairs[name] {
		if ratio := per(amount(p.ours), amount(p.theirs)); ratio > 0 {
			ratios = append(ratios, ratio)
		}
	}
	if len(ratios) == 0 {
		return "–"
	}
	slices.Sort(ratios)
	return fmt.Sprintf("%.2g (%.2g–%.2g)", ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1])
}

// String returns the measured values, to be printed as progress.
func (f figures) String() string {
	if f.idle > 0 {
		return fmt.Sprintf("%.1f KiB per socket", f.idle/1024)
	}
	deliveries := max(f.deliveries, 1)
	text := fmt.Sprintf("%.0f deliveries/s, %v of CPU per delivery, client on CPU %.0f %%", per(float64(f.deliveries), f.wall.Seconds()),
		f.cpu/time.Duration(deliveries), 100*per(f.client.Seconds(), f.wall.Seconds()))
	if f.published > 0 {
		text += fmt.Sprintf(", publish call %v", f.publishing/time.Duration(f.published))
	}
	return text
}
