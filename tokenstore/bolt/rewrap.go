package bolt

import "context"

func (s *Store) KeyUse(ctx context.Context) (map[uint32]int, error) { return nil, ctx.Err() }

func (s *Store) Rewrap(ctx context.Context, limit int) (left int, err error) { return 0, ctx.Err() }
