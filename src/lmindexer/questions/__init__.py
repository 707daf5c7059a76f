"""What people ask (section 3.3): queries, histories, and how they are parted."""
