"""Appends indicators to closed candles: klines streams in, one merged indicators stream out."""
