"""Where people's feedback on images is kept."""
