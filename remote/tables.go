package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pondworks/sluice/deltalog"
)

// sayTables returns cause with the ids of the table and of the one that the store was begun for,
// where histories differ because they are two tables.
func (s *session) sayTables(ctx context.Context, cause error) error {
	if !errors.Is(cause, ErrDiverged) || errors.Is(cause, errOtherSource) {
		return cause
	}
	id, err := s.readIdentity(ctx)
	if err != nil || id == nil {
		return cause
	}
	tip, err := s.table.Tip(ctx)
	if err != nil {
		return cause
	}
	differ := s.tablesDiffer(ctx, id, tip)
	var e *Error
	switch {
	case differ == "" || strings.Contains(cause.Error(), id.TableID): // or it is told
	case errors.As(cause, &e):
		e.Err = fmt.Errorf("%w%s", e.Err, differ)
	default:
		cause = fmt.Errorf("%w%s", cause, differ)
	}
	return cause
}

// tablesDiffer says which table this is, at version tip, and which one the store was begun for;
// "" if they are the same or it cannot tell: it is for people.
func (s *session) tablesDiffer(ctx context.Context, id *identity, tip deltalog.Version) string {
	here, err := s.tableID(ctx, tip)
	if err != nil || here == "" || here == id.TableID {
		return ""
	}
	return fmt.Sprintf(" (table id %q here, %q in the store)", here, id.TableID)
}
