package serializer

import "slices"

// readMaps plants the tree for maps, whose elements are the paths to the files in their order.
func (m *marks) readMaps(maps []byte) error {
	if maps == nil {
		return nil
	}
	if maps[0] != '[' {
		return malformed("maps is not an array")
	}
	c := cursor{data: maps, pos: 1}
	for c.more(']') {
		i := len(m.places)
		switch {
		case c.peek() != '[':
			return malformed("an element of maps is not an array")
		case i >= len(m.files) || m.files[i] == nil:
			return malformed("part %d, which maps names, is missing or not a file", i)
		}
		c.pos++
		place, err := m.readPath(&c)
		if err != nil {
			return err
		}
		m.places = append(m.places, place)
	}
	return nil
}

// putFiles puts the files in their places, from first to last: a file has no members, and
// the last one for a place stays.
func (m *marks) putFiles() error {
	for i, at := range m.places {
		if key, ok := at.reachable(); !ok {
			return malformed("a path of maps leads to %.40q, which does not exist", key)
		}
		if at.absent {
			return malformed("maps has a path, but there is no JSON")
		}
		at.typ, at.file = typeFile, i+1
	}
	return nil
}

// maps writes the paths to the files at and below a mark, which begin there, and lists these files.
func (m *marks) maps(from *mark) (maps []byte, files []*File) {
	numbers := m.filesAt(from)
	if len(numbers) == 0 {
		return nil, nil
	}
	slices.Sort(numbers)
	maps = []byte{'['}
	for _, number := range numbers {
		start := len(maps)
		maps = m.appendPath(maps, from, m.places[number-1])
		maps = append(bracketed(maps, start), "],"...)
		files = append(files, m.files[number-1])
	}
	maps[len(maps)-1] = ']'
	return maps, files
}

// filesAt gives the numbers of the files at and below a mark.
func (m *marks) filesAt(at *mark) []int {
	if len(m.places) == 0 {
		return nil
	}
	return at.filesBelow(nil)
}

func (at *mark) filesBelow(numbers []int) []int {
	switch {
	case at == nil:
		return numbers
	case at.file > 0:
		return append(numbers, at.file)
	}
	for kid := at.first; kid != nil; kid = kid.next {
		numbers = kid.filesBelow(numbers)
	}
	return numbers
}
